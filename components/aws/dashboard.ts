import type { Metric, Watched } from "./metrics.ts";
import { ofGateways, ofLoadBalancer } from "./metrics.ts";

/** Metrics drawn in one graph. */
interface Graph {
  title: string;
  metrics: Metric<string>[];
}

/** The dashboard, as CloudWatch takes it: docs.aws.amazon.com, CloudWatch-Dashboard-Body-Structure. */
export function dashboard(watched: Watched): string {
  const graphs = graphsOf(watched);
  const widgets = graphs.map((graph, index) => graphWidget(graph, index, watched.region));
  return JSON.stringify({ widgets: [...widgets, logWidget(watched, Math.ceil(graphs.length / 2))] });
}

function graphsOf(watched: Watched): Graph[] {
  const graph = (title: string, ...metrics: Metric<string>[]) => ({ title, metrics });
  return [
    graph("Tokens a minute, all tasks", ofGateways("Tokens", watched, "Sum")),
    graph("Load: busy slots and waiting requests, % of slots", ofGateways("Load", watched, "Average")),
    graph(
      "Busy slots, waiting requests, on average",
      ofGateways("BusySlots", watched, "Average"),
      ofGateways("WaitingRequests", watched, "Average"),
    ),
    graph(
      "Healthy and unhealthy tasks",
      ofLoadBalancer("HealthyHostCount", watched, "Minimum"),
      ofLoadBalancer("UnHealthyHostCount", watched, "Maximum"),
    ),
    graph(
      "Requests and errors",
      ofLoadBalancer("RequestCount", watched, "Sum"),
      ofLoadBalancer("HTTPCode_Target_4XX_Count", watched, "Sum"),
      ofLoadBalancer("HTTPCode_Target_5XX_Count", watched, "Sum"),
    ),
    graph("Seconds to the first token", ofGateways("TimeToFirstToken", watched, "Average")),
  ];
}

/** Two graphs side by side in each row. */
function graphWidget({ title, metrics }: Graph, index: number, region: string) {
  return {
    type: "metric",
    width: 12,
    height: 6,
    x: (index % 2) * 12,
    y: Math.floor(index / 2) * 6,
    properties: {
      title,
      region,
      view: "timeSeries",
      period: 60,
      metrics: metrics.map(({ namespace, metricName, dimensions, statistic }) => [
        namespace,
        metricName,
        ...Object.entries(dimensions).flat(),
        { stat: statistic },
      ]),
    },
  };
}

function logWidget({ region, logGroup }: Watched, row: number) {
  return {
    type: "log",
    width: 24,
    height: 6,
    x: 0,
    y: row * 6,
    properties: {
      title: "What the servers said last",
      region,
      query: `SOURCE '${logGroup}' | filter @logStream like /task.server/ | fields @timestamp, @message | sort @timestamp desc | limit 50`,
    },
  };
}
