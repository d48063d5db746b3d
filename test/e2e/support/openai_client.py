"""Asks everything of the README's that the official Python client knows; prints what it parsed, as JSON."""

import json
import os
import sys
from collections.abc import Callable

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key=os.environ.get("API_KEY", "none"), max_retries=0)
messages = [{"role": "user", "content": sys.argv[2]}]


def refused(ask: Callable[[], object]) -> dict:
    try:
        ask()
    except openai.APIStatusError as error:
        return {"type": type(error).__name__, "status": error.status_code, "param": error.param, "code": error.code}
    return {}


chat = client.chat.completions.create(model="bitnet", messages=messages, temperature=0)
stream = client.chat.completions.create(
    model="bitnet", messages=messages, temperature=0, stream=True, stream_options={"include_usage": True}
)
chunks = list(stream)
text = client.completions.create(model="bitnet", prompt=sys.argv[2], max_tokens=3, temperature=0)
models = [model.id for model in client.models.list()]
print(
    json.dumps(
        {
            "chat": [chat.choices[0].message.content, chat.choices[0].finish_reason, chat.usage.completion_tokens > 0],
            "stream": "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices),
            "streamUsage": chunks[-1].usage.completion_tokens == chat.usage.completion_tokens,
            "completion": [text.choices[0].finish_reason, text.usage.completion_tokens],
            "models": models,
            "model": client.models.retrieve(models[0]).id,
            "badField": refused(
                lambda: client.chat.completions.create(model="bitnet", messages=messages, temperature=9)
            ),
            "noModel": refused(lambda: client.models.retrieve("nothing")),
            "noEmbeddings": refused(lambda: client.embeddings.create(model="bitnet", input="a")),
            "wrongKey": refused(lambda: client.with_options(api_key="wrong").models.list()),
        }
    )
)
