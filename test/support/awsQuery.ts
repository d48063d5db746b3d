/** An answer as it is said in AWS's query protocol: a list's elements are called `member`. */
export type Answer = string | number | readonly Answer[] | { readonly [name: string]: Answer };

/** EC2 has a dialect of its own, told by its API's version: no element around the result. */
const ec2 = "2016-11-15";

/** @param parameters the request's body, whose Action and Version are asked for */
export function queryResponse(parameters: URLSearchParams, answer: Answer): string {
  const action = parameters.get("Action") ?? "";
  const result = parameters.get("Version") === ec2 ? answer : { [`${action}Result`]: answer };
  return element(`${action}Response`, result);
}

export function queryError(code: string, message: string): string {
  return element("ErrorResponse", { Error: { Code: code, Message: message } });
}

function element(name: string, content: Answer): string {
  return `<${name}>${inside(content)}</${name}>`;
}

function inside(content: Answer): string {
  if (Array.isArray(content)) return content.map((each: Answer) => element("member", each)).join("");
  if (typeof content !== "object") return String(content).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return Object.entries(content)
    .map(([name, value]) => element(name, value))
    .join("");
}
