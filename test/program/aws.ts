/** What AWS answers and adds, as far as the program asks: a region with three zones, a Local Zone and a few instance types. */

/** A provider's functions by token. */
export type Answers = Record<string, (inputs: Record<string, unknown>) => object>;

export const account = "123456789012";
export const region = "eu-central-1";

/** What ECR hands out to log in with. */
export const registryLogin = { username: "AWS", password: "ecr-password" };

/** By family: GiB for each vCPU, and what else is special. */
const families: Record<string, { memory: number; architecture?: string; burstable?: boolean; gpu?: boolean }> = {
  c7a: { memory: 2 },
  m7a: { memory: 4 },
  r7a: { memory: 8 },
  c8g: { memory: 2, architecture: "arm64" },
  t3: { memory: 2, burstable: true },
  g5: { memory: 4, gpu: true },
  z9q: { memory: 4 },
};
const vcpus: Record<string, number> = { medium: 1, large: 2, xlarge: 4, "2xlarge": 8, "4xlarge": 16 };

function instanceType(name: string): object {
  const [family = "", size = ""] = name.split(".");
  const facts = families[family];
  const count = vcpus[size];
  if (facts === undefined || count === undefined) {
    throw awsError(`InvalidInstanceType: The following supplied instance types do not exist: [${name}]`);
  }
  return {
    instanceType: name,
    supportedArchitectures: [facts.architecture ?? "x86_64"],
    defaultVcpus: count,
    defaultCores: count,
    memorySize: facts.memory * count * 1024,
    burstablePerformanceSupported: facts.burstable ?? false,
    gpuses: facts.gpu === true ? [{ name: "A10G" }] : [],
    inferenceAccelerators: [],
    neuronDevices: [],
    fpgas: [],
  };
}

/** As the engine hands on what a provider's function ended with: a gRPC error, whose `details` the SDK shows. */
export function awsError(words: string): Error {
  return Object.assign(new Error(words), {
    details: `invocation of aws:x:y returned an error: invoking aws:x:y: ${words}`,
  });
}

function filterValue(inputs: Record<string, unknown>): string {
  return (inputs.filters as { values: string[] }[] | undefined)?.[0]?.values[0] ?? "";
}

/** Of the account's zones. */
export const nameServers = ["ns-1.awsdns-01.com", "ns-2.awsdns-02.org"];

export const awsAnswers: Answers = {
  "aws:index/getCallerIdentity:getCallerIdentity": () => ({ accountId: account }),
  "aws:index/getPartition:getPartition": () => ({ partition: "aws" }),
  "aws:index/getRegion:getRegion": () => ({ region }),
  "aws:ec2/getInstanceType:getInstanceType": (inputs) => instanceType(inputs.instanceType as string),
  "aws:ec2/getInstanceTypes:getInstanceTypes": (inputs) => ({
    instanceTypes: [...Object.keys(vcpus), "metal-48xl"].map((size) => filterValue(inputs).replace("*", size)),
  }),
  "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": () => ({
    locations: [`${region}c`, `${region}-ham-1a`, `${region}a`, `${region}b`],
  }),
  "aws:index/getAvailabilityZones:getAvailabilityZones": (inputs) => {
    const zones = [`${region}a`, `${region}b`, `${region}c`];
    return { names: filterValue(inputs) === "availability-zone" ? zones : [`${region}-ham-1a`, ...zones] };
  },
  "aws:ec2/getSubnets:getSubnets": () => ({ ids: [] }),
  "aws:ec2/getSubnet:getSubnet": ({ id }) => {
    const zone = (id as string).slice(-1);
    if (zone === "0") throw awsError(`InvalidSubnetID.NotFound: The subnet ID '${id as string}' does not exist`);
    return { id, vpcId: "vpc-0123", availabilityZone: `${region}${zone}`, availableIpAddressCount: 250 };
  },
  "aws:route53/getZone:getZone": ({ name, privateZone }) => {
    if (name !== (privateZone === true ? "internal.example.com" : "example.com"))
      throw awsError("no matching Route 53 Hosted Zone found");
    return { zoneId: "Z0123", name, nameServers };
  },
  "aws:ebs/getDefaultKmsKey:getDefaultKmsKey": () => ({ keyArn: `arn:aws:kms:${region}:${account}:alias/aws/ebs` }),
  "aws:kms/getKey:getKey": () => ({ keyManager: "AWS", enabled: true }),
  "aws:iam/getRole:getRole": ({ name }) => ({ name }),
  "aws:servicequotas/getServiceQuota:getServiceQuota": () => ({ value: 512 }),
  "aws:ec2/getVpcEndpointService:getVpcEndpointService": () => ({
    availabilityZones: [`${region}a`, `${region}b`, `${region}c`],
  }),
  "aws:ecr/getAuthorizationToken:getAuthorizationToken": () => ({
    userName: registryLogin.username,
    password: registryLogin.password,
  }),
  "aws:ssm/getParameter:getParameter": ({ name }) => ({
    insecureValue: (name as string).includes("arm64") ? "ami-arm64" : "ami-x86_64",
  }),
};

/** What AWS adds to a resource. */
export function awsComputed(type: string, name: string, inputs: Record<string, unknown>): object {
  const called = typeof inputs.name === "string" ? inputs.name : `${name}-1234567`;
  const arn = (service: string, resource: string) => ({ arn: `arn:aws:${service}:${region}:${account}:${resource}` });
  switch (type) {
    case "aws:ecr/repository:Repository": {
      const host = `${account}.dkr.ecr.${region}.amazonaws.com`;
      return { registryId: account, repositoryUrl: `${host}/${called}`, ...arn("ecr", `repository/${called}`) };
    }
    case "aws:lb/loadBalancer:LoadBalancer":
      return {
        dnsName: "fleet-0123.elb.amazonaws.com",
        zoneId: "ZLB",
        arnSuffix: "app/fleet/0123",
        ...arn("elb", "app"),
      };
    case "aws:lb/targetGroup:TargetGroup":
      return { arnSuffix: "targetgroup/fleet/0123", ...arn("elb", "targetgroup") };
    case "aws:acm/certificate:Certificate":
      return {
        ...arn("acm", "certificate/0123"),
        domainValidationOptions: [
          { resourceRecordName: "_proof.llm.example.com", resourceRecordType: "CNAME", resourceRecordValue: "_aws" },
        ],
      };
    case "aws:route53/record:Record":
      return { fqdn: called };
    case "aws:ec2/launchTemplate:LaunchTemplate":
      return { latestVersion: 7 };
    case "aws:secretsmanager/secretVersion:SecretVersion":
      return { versionId: "version-1", secretArn: `arn:aws:secretsmanager:${region}:${account}:secret:keys-AbCdEf` };
    case "aws:ec2/vpcEndpoint:VpcEndpoint":
      return { prefixListId: "pl-s3" };
    case "aws:cloudwatch/logGroup:LogGroup":
      return { name: called, ...arn("logs", `log-group:${called}`) };
    case "aws:ecs/cluster:Cluster":
      return { name: called, ...arn("ecs", `cluster/${called}`) };
    case "aws:ecs/taskDefinition:TaskDefinition":
      return arn("ecs", `task-definition/${String(inputs.family)}:1`);
    default:
      return { name: called, ...arn("any", name) };
  }
}
