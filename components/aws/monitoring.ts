import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { alarms, rollbackAlarms } from "./alarms.ts";
import { dashboard } from "./dashboard.ts";
import type { Watched } from "./metrics.ts";

export interface MonitoringArgs {
  watched: Watched<pulumi.Input<string>>;
  /** The dashboard's name: letters, digits, dashes. */
  dashboardName: string;
  /** The alarms' recipient. AWS first sends this address an e-mail that has to be confirmed by hand. */
  alarmEmail: string | undefined;
  tags: Record<string, string>;
}

/** A dashboard ($3 a month, the account's first three free) and alarms ($0.10 a month each). */
export class Monitoring extends pulumi.ComponentResource {
  readonly dashboardUrl: pulumi.Output<string>;
  /** The alarms that roll back a rollout. */
  readonly rollbackAlarms: pulumi.Output<string>[];

  constructor(name: string, args: MonitoringArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:aws:Monitoring", name, {}, opts);

    const topic = this.createTopic(name, args);
    this.rollbackAlarms = this.createAlarms(name, args, topic);
    const board = this.createDashboard(name, args);

    this.dashboardUrl = pulumi
      .all([args.watched.region, board.dashboardName])
      .apply(
        ([region, title]) =>
          `https://${region}.console.aws.amazon.com/cloudwatch/home?region=${region}#dashboards/dashboard/${title}`,
      );
    this.registerOutputs({ dashboardUrl: this.dashboardUrl });
  }

  private createTopic(name: string, { alarmEmail, tags }: MonitoringArgs): aws.sns.Topic | undefined {
    if (alarmEmail === undefined) return undefined;
    const topic = new aws.sns.Topic(name, { tags }, { parent: this });
    new aws.sns.TopicSubscription(
      name,
      { topic: topic.arn, protocol: "email", endpoint: alarmEmail },
      { parent: this },
    );
    void pulumi.log.info(
      `alarmEmail: ${alarmEmail} gets an e-mail from AWS and has to confirm it, or no alarm arrives`,
    );
    return topic;
  }

  private createAlarms(
    name: string,
    { watched, tags }: MonitoringArgs,
    topic: aws.sns.Topic | undefined,
  ): pulumi.Output<string>[] {
    const told = topic === undefined ? {} : { alarmActions: [topic.arn], okActions: [topic.arn] };
    const made = Object.entries(alarms(watched)).map(
      ([key, alarm]) =>
        [key, new aws.cloudwatch.MetricAlarm(`${name}-${key}`, { ...alarm, ...told, tags }, { parent: this })] as const,
    );
    return made.flatMap(([key, alarm]) => (rollbackAlarms.includes(key) ? [alarm.name] : []));
  }

  private createDashboard(name: string, { dashboardName, watched }: MonitoringArgs): aws.cloudwatch.Dashboard {
    const dashboardBody = pulumi.output(watched).apply(dashboard);
    return new aws.cloudwatch.Dashboard(name, { dashboardName, dashboardBody }, { parent: this });
  }
}
