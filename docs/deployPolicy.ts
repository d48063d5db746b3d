/**
 * What whoever deploys target aws has to be allowed, written to deploy-policy.json: by the types of resources that the
 * program makes (test/program/aws.test.ts compares them), and what its commands and checks ask.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const tags = (service: string) => [`${service}:TagResource`, `${service}:UntagResource`];

/** Every type's actions, but those that only read. They are the calls of Terraform's provider for it. */
export const actionsByType: Readonly<Record<string, readonly string[]>> = {
  "aws:acm/certificate:Certificate": [
    ...["acm:RequestCertificate", "acm:DeleteCertificate", "acm:AddTagsToCertificate", "acm:RemoveTagsFromCertificate"],
  ],
  "aws:acm/certificateValidation:CertificateValidation": [],
  "aws:appautoscaling/policy:Policy": [
    ...["application-autoscaling:PutScalingPolicy", "application-autoscaling:DeleteScalingPolicy"],
  ],
  "aws:appautoscaling/scheduledAction:ScheduledAction": [
    ...["application-autoscaling:PutScheduledAction", "application-autoscaling:DeleteScheduledAction"],
  ],
  "aws:appautoscaling/target:Target": [
    ...["application-autoscaling:RegisterScalableTarget", "application-autoscaling:DeregisterScalableTarget"],
    ...tags("application-autoscaling"),
  ],
  "aws:autoscaling/group:Group": [
    ...["CreateAutoScalingGroup", "UpdateAutoScalingGroup", "DeleteAutoScalingGroup", "SetInstanceProtection"].map(
      (action) => `autoscaling:${action}`,
    ),
    ...["autoscaling:CreateOrUpdateTags", "autoscaling:DeleteTags", "ec2:RunInstances"],
  ],
  "aws:cloudwatch/dashboard:Dashboard": ["cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards"],
  "aws:cloudwatch/logGroup:LogGroup": [
    ...["logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:PutRetentionPolicy"],
    ...tags("logs"),
  ],
  "aws:cloudwatch/metricAlarm:MetricAlarm": [
    ...["cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"],
    ...tags("cloudwatch"),
  ],
  "aws:ec2/eip:Eip": ["ec2:AllocateAddress", "ec2:ReleaseAddress"],
  "aws:ec2/internetGateway:InternetGateway": [
    ...["Create", "Delete", "Attach", "Detach"].map((action) => `ec2:${action}InternetGateway`),
  ],
  "aws:ec2/launchTemplate:LaunchTemplate": [
    ...["CreateLaunchTemplate", "CreateLaunchTemplateVersion", "ModifyLaunchTemplate", "DeleteLaunchTemplate"].map(
      (action) => `ec2:${action}`,
    ),
  ],
  "aws:ec2/natGateway:NatGateway": ["ec2:CreateNatGateway", "ec2:DeleteNatGateway"],
  "aws:ec2/route:Route": ["ec2:CreateRoute", "ec2:DeleteRoute"],
  "aws:ec2/routeTable:RouteTable": ["ec2:CreateRouteTable", "ec2:DeleteRouteTable"],
  "aws:ec2/routeTableAssociation:RouteTableAssociation": ["ec2:AssociateRouteTable", "ec2:DisassociateRouteTable"],
  "aws:ec2/securityGroup:SecurityGroup": ["ec2:CreateSecurityGroup", "ec2:DeleteSecurityGroup"],
  "aws:ec2/subnet:Subnet": ["ec2:CreateSubnet", "ec2:DeleteSubnet"],
  "aws:ec2/vpc:Vpc": ["ec2:CreateVpc", "ec2:DeleteVpc", "ec2:ModifyVpcAttribute"],
  "aws:ec2/vpcEndpoint:VpcEndpoint": [...["ec2:CreateVpcEndpoint", "ec2:ModifyVpcEndpoint", "ec2:DeleteVpcEndpoints"]],
  "aws:ecr/lifecyclePolicy:LifecyclePolicy": ["ecr:PutLifecyclePolicy", "ecr:DeleteLifecyclePolicy"],
  "aws:ecr/repository:Repository": [
    ...[
      "ecr:CreateRepository",
      "ecr:DeleteRepository",
      "ecr:PutImageScanningConfiguration",
      "ecr:PutImageTagMutability",
    ],
    // The push.
    ...["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"],
    ...["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage"],
    ...tags("ecr"),
  ],
  "aws:ecs/capacityProvider:CapacityProvider": [
    ...["Create", "Update", "Delete"].map((action) => `ecs:${action}CapacityProvider`),
  ],
  "aws:ecs/cluster:Cluster": ["ecs:CreateCluster", "ecs:UpdateCluster", "ecs:DeleteCluster", ...tags("ecs")],
  "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders": ["ecs:PutClusterCapacityProviders"],
  "aws:ecs/service:Service": ["ecs:CreateService", "ecs:UpdateService", "ecs:DeleteService"],
  "aws:ecs/taskDefinition:TaskDefinition": ["ecs:RegisterTaskDefinition", "ecs:DeregisterTaskDefinition"],
  "aws:iam/instanceProfile:InstanceProfile": [
    ...["iam:CreateInstanceProfile", "iam:DeleteInstanceProfile", "iam:TagInstanceProfile"],
    ...["iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile"],
  ],
  "aws:iam/role:Role": [
    ...["iam:CreateRole", "iam:DeleteRole", "iam:UpdateAssumeRolePolicy", "iam:PutRolePermissionsBoundary"],
    ...["iam:TagRole", "iam:UntagRole", "iam:PassRole"],
  ],
  "aws:iam/rolePolicy:RolePolicy": ["iam:PutRolePolicy", "iam:DeleteRolePolicy"],
  "aws:lb/listener:Listener": ["Create", "Modify", "Delete"].map((action) => `elasticloadbalancing:${action}Listener`),
  "aws:lb/loadBalancer:LoadBalancer": [
    ...[
      "CreateLoadBalancer",
      "DeleteLoadBalancer",
      "ModifyLoadBalancerAttributes",
      "SetSecurityGroups",
      "SetSubnets",
    ].map((action) => `elasticloadbalancing:${action}`),
    ...["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags", "elasticloadbalancing:SetWebAcl"],
  ],
  "aws:lb/targetGroup:TargetGroup": [
    ...["CreateTargetGroup", "ModifyTargetGroup", "ModifyTargetGroupAttributes", "DeleteTargetGroup"].map(
      (action) => `elasticloadbalancing:${action}`,
    ),
  ],
  "aws:route53/record:Record": ["route53:ChangeResourceRecordSets"],
  "aws:secretsmanager/secret:Secret": [
    ...["secretsmanager:CreateSecret", "secretsmanager:UpdateSecret", "secretsmanager:DeleteSecret"],
    ...tags("secretsmanager"),
  ],
  "aws:secretsmanager/secretVersion:SecretVersion": [
    ...["secretsmanager:PutSecretValue", "secretsmanager:GetSecretValue", "secretsmanager:UpdateSecretVersionStage"],
  ],
  "aws:sns/topic:Topic": ["sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes", ...tags("sns")],
  "aws:sns/topicSubscription:TopicSubscription": ["sns:Subscribe", "sns:Unsubscribe"],
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": [
    ...["ec2:AuthorizeSecurityGroupEgress", "ec2:RevokeSecurityGroupEgress", "ec2:ModifySecurityGroupRules"],
  ],
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": [
    ...["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress", "ec2:ModifySecurityGroupRules"],
  ],
  "aws:wafv2/webAcl:WebAcl": ["wafv2:CreateWebACL", "wafv2:UpdateWebACL", "wafv2:DeleteWebACL", ...tags("wafv2")],
  "aws:wafv2/webAclAssociation:WebAclAssociation": ["wafv2:AssociateWebACL", "wafv2:DisassociateWebACL"],
};

/** EC2's two actions for tags, and what the program's two commands do. */
const further = ["ec2:CreateTags", "ec2:DeleteTags", "iam:CreateServiceLinkedRole"];

/** What is looked at, by the provider, by the checks before an update, and by the wait for the rollout. */
const reading = [
  ...["acm:Describe*", "acm:List*", "application-autoscaling:Describe*", "application-autoscaling:List*"],
  ...[
    "autoscaling:Describe*",
    "cloudwatch:Describe*",
    "cloudwatch:Get*",
    "cloudwatch:List*",
    "ec2:Describe*",
    "ec2:Get*",
  ],
  ...["ecr:Describe*", "ecr:Get*", "ecr:List*", "ecs:Describe*", "ecs:List*", "elasticloadbalancing:Describe*"],
  ...[
    "iam:Get*",
    "iam:List*",
    "kms:DescribeKey",
    "logs:Describe*",
    "logs:GetLogEvents",
    "logs:List*",
    "route53:Get*",
    "route53:List*",
  ],
  ...[
    "secretsmanager:Describe*",
    "secretsmanager:GetResourcePolicy",
    "servicequotas:GetServiceQuota",
    "sns:Get*",
    "sns:List*",
  ],
  ...["ssm:GetParameter", "sts:GetCallerIdentity", "wafv2:Get*", "wafv2:List*"],
];

export function deployPolicy() {
  const making = [...new Set([...Object.values(actionsByType).flat(), ...further])].toSorted();
  return {
    Version: "2012-10-17",
    Statement: [
      { Sid: "Look", Effect: "Allow", Action: reading, Resource: "*" },
      { Sid: "MakeAndRemove", Effect: "Allow", Action: making, Resource: "*" },
    ],
  };
}

/** IAM's limit for a managed policy, without white space. */
export const policyLimit = 6144;

if (import.meta.main) {
  const file = join(import.meta.dirname, "deploy-policy.json");
  writeFileSync(file, `${JSON.stringify(deployPolicy(), null, 2)}\n`);
}
