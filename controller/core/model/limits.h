// Limits of the controller's model: each with its unit and where it comes from; those of its
// queues, streams and messages are in controller/limits.h. What is over one is refused with the
// limit's name or range in the error; nothing is cut off silently.
//
// "ELB quotas" and "EC2 Auto Scaling quotas" are AWS's pages of those names. "Ours" is a bound
// chosen here.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>

#include "common/ids.h"

namespace remuda::core::limits {

// --- Names and texts (bytes) --------------------------------------------------------------------

// A DNS label (RFC 1035): names become host names of instances and parts of paths.
inline constexpr size_t kIdBytes = kMaxIdBytes;
inline constexpr char kIdRule[] = "must be [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
inline constexpr size_t kRequestIdBytes = 128;
inline constexpr size_t kDescriptionBytes = 255;
inline constexpr size_t kReasonBytes = 255;
inline constexpr size_t kLabelValueBytes = 255;
// A command's argument or a variable's value. Linux bounds one at 128 KiB (MAX_ARG_STRLEN).
inline constexpr size_t kArgumentBytes = 16 * 1024;
// Command and environment together: well under Linux's default of 2 MiB for all of both (ARG_MAX).
inline constexpr size_t kCommandAndEnvBytes = 256 * 1024;
inline constexpr size_t kEnvNameBytes = 128;
// A login name (useradd(8)).
inline constexpr size_t kUserBytes = 32;
// A wildcard pattern or a part of a redirect (ELB quotas: length of a rule's value).
inline constexpr size_t kPatternBytes = 128;
inline constexpr size_t kHeaderNameBytes = 40;
inline constexpr size_t kMethodBytes = 40;  // ELB: HttpRequestMethodConditionConfig
inline constexpr size_t kHealthCheckPathBytes = 1024;
inline constexpr size_t kHealthCheckHostBytes = 255;
inline constexpr size_t kMatcherBytes = 255;
// RE2 patterns of conditions and of rewrites; load_balancer.proto.
inline constexpr size_t kConditionRegexBytes = 512;
inline constexpr size_t kRewriteBytes = 1024;
inline constexpr size_t kCookieNameBytes = 256;
// PEM texts; certificate.proto.
inline constexpr size_t kCertificateBytes = 64 * 1024;
inline constexpr size_t kPrivateKeyBytes = 16 * 1024;
// What analyses ask at: URLs, a PromQL query (deployment_step.proto), a command with its arguments.
inline constexpr size_t kUrlBytes = 2048;
inline constexpr size_t kQueryBytes = 4096;
inline constexpr size_t kAuthorizationBytes = 4096;
inline constexpr size_t kAnalysisCommandBytes = 4096;
inline constexpr size_t kMetadataValueBytes = 1024;
// What is kept of the answer of a check that is asked outside; what is read of it at most.
inline constexpr size_t kProbeDescriptionBytes = 255;
inline constexpr size_t kProbeAnswerBytes = 64 * 1024;

// --- Lists (entries) ----------------------------------------------------------------------------

inline constexpr int kLabels = 32;
inline constexpr int kCommandArguments = 256;
inline constexpr int kEnvVariables = 256;
// What a load balancer may say with all its rules: every proxy that serves it gets all of it at
// once, with others. Ours.
inline constexpr size_t kLoadBalancerBytes = 4 * 1024 * 1024;
inline constexpr int kListenersALoadBalancer = 50;  // ELB quotas
inline constexpr int kRulesAListener = 100;         // ELB quotas
inline constexpr int kConditionsARule = 5;          // ELB quotas
inline constexpr int kValuesACondition = 5;         // ELB quotas
inline constexpr int kTargetGroupsAForward = 5;     // ELB quotas
inline constexpr int kTargetsAGroup = 10'000;       // ELB quotas: 1,000; ours is ten times that
inline constexpr int kTargetGroupsAnAsg = 10;       // auto_scaling.proto
inline constexpr int kZonesAnAsg = 32;              // ours
inline constexpr size_t kZoneBytes = 63;
inline constexpr int kStepsAPolicy = 20;             // EC2 Auto Scaling quotas
inline constexpr int kPoliciesAnAsg = 50;            // EC2 Auto Scaling quotas
inline constexpr int kTerminationPoliciesAnAsg = 5;  // each kind once
inline constexpr int kTargetsARequest = 1'000;
inline constexpr int kCertificatesAListener = 10'000;  // ELB quotas: 25; ours is more
inline constexpr int kProxyProtocolSources = 50;
// CIDRs of all security groups that a load balancer or an auto scaling group names; addresses of
// proxies and of source groups come on top (views/ingress.h). Ours. Counts of groups and rules:
// common/traffic/ingress.h.
inline constexpr int kCidrsAttached = 3'000;
inline constexpr int kTransformsARule = 2;  // each kind once
inline constexpr int kResourcesAnApply = 500;
inline constexpr int kMaskPaths = 100;
// Of a deployment (deployment.proto, deployment_step.proto).
inline constexpr int kChecksAnAnalysis = 10;
inline constexpr int kMetadataAWebhook = 32;
inline constexpr int kAnalysisCommandArguments = 32;
// Violations told of one request; the rest is a number.
inline constexpr size_t kViolationsTold = 50;
// Changed fields told of one applied resource; the rest is a number.
inline constexpr size_t kChangesTold = 50;

// Bytes of an image's archive that --image-limit of the controller can allow. Ours.
inline constexpr int64_t kImageBytes = int64_t{64} << 30;

// --- Ranges -------------------------------------------------------------------------------------

inline constexpr int kMaxPort = 65'535;
inline constexpr int kGroupInstances = 1'000;  // auto_scaling.proto: max
inline constexpr int kMaxPriority = 50'000;    // ELB: Rule
inline constexpr int kMaxTargetWeight = 999;   // proxy/v1/config.proto
inline constexpr int kMaxForwardWeight = 999;  // ELB: WeightedTargetGroup
inline constexpr int kMaxThreshold = 10;       // ELB: HealthCheckThresholdCount (2-10; here from 1)
inline constexpr int kMinPids = 1;
inline constexpr int kMaxPids = 1'000'000;
inline constexpr int kTemplateVersion = 99'999'999;  // eight digits in its key
inline constexpr double kMinPolicyTarget = 1e-6;
inline constexpr double kMaxPolicyTarget = 1e9;
inline constexpr double kMaxCustomMetric = 1e15;  // on either side of 0
inline constexpr int kConsecutiveFailures = 1'000;
inline constexpr int kConcurrentRequests = 1'000;
inline constexpr int kQueuedRequests = 10'000;
inline constexpr int kHealthyCount = 10'000;
// deployment_step.proto: AnalysisCheck.
inline constexpr int64_t kMinRequests = 1'000'000;
inline constexpr int kFailureLimit = 10;
inline constexpr double kMinPercentile = 1;
inline constexpr double kMaxPercentile = 99.9;
inline constexpr double kMinRatio = 1;
inline constexpr double kMaxRatio = 1'000;

inline constexpr absl::Duration kMinHealthInterval = absl::Milliseconds(100);
inline constexpr absl::Duration kMaxHealthInterval = absl::Seconds(300);
inline constexpr absl::Duration kMinHealthTimeout = absl::Milliseconds(50);
inline constexpr absl::Duration kMaxHealthTimeout = absl::Seconds(120);
inline constexpr absl::Duration kMaxDeregistrationDelay = absl::Seconds(3'600);
inline constexpr absl::Duration kMinSlowStart = absl::Seconds(1);
inline constexpr absl::Duration kMaxSlowStart = absl::Seconds(900);
inline constexpr absl::Duration kMinIdleTimeout = absl::Seconds(1);
inline constexpr absl::Duration kMaxIdleTimeout = absl::Seconds(4'000);
inline constexpr absl::Duration kMinClientKeepAlive = absl::Seconds(1);
inline constexpr absl::Duration kMaxClientKeepAlive = absl::Seconds(86'400);
inline constexpr absl::Duration kMinStickiness = absl::Seconds(1);
inline constexpr absl::Duration kMaxStickiness = absl::Seconds(604'800);
inline constexpr absl::Duration kMinEjection = absl::Seconds(1);
inline constexpr absl::Duration kMaxEjectionBase = absl::Seconds(300);
inline constexpr absl::Duration kMaxEjection = absl::Seconds(3'600);
inline constexpr absl::Duration kMinQueueTimeout = absl::Milliseconds(10);
inline constexpr absl::Duration kMaxQueueTimeout = absl::Seconds(60);
inline constexpr absl::Duration kMinTcpIdleTimeout = absl::Seconds(60);
inline constexpr absl::Duration kMaxTcpIdleTimeout = absl::Seconds(6'000);
// scaling_policy.proto.
inline constexpr absl::Duration kMaxPolicyTime = absl::Seconds(86'400);
inline constexpr absl::Duration kMaxSchedulingBuffer = absl::Seconds(3'600);
inline constexpr absl::Duration kMaxInstanceWarmup = absl::Seconds(3'600);
inline constexpr absl::Duration kMaxGracePeriod = absl::Seconds(7'200);
inline constexpr absl::Duration kMaxStopGrace = absl::Seconds(3'600);
inline constexpr absl::Duration kMaxBake = absl::Seconds(86'400);
inline constexpr absl::Duration kMaxAnalysis = absl::Seconds(86'400);
inline constexpr absl::Duration kMinAnalysisInterval = absl::Seconds(1);
inline constexpr absl::Duration kMaxAnalysisInterval = absl::Seconds(3'600);
inline constexpr absl::Duration kMinProbeTimeout = absl::Seconds(1);
inline constexpr absl::Duration kMaxProbeTimeout = absl::Seconds(60);
inline constexpr absl::Duration kMinLatencyLimit = absl::Milliseconds(1);
inline constexpr absl::Duration kMaxLatencyLimit = absl::Seconds(3'600);
// identity.proto: CreateJoinTokenRequest.
inline constexpr absl::Duration kMinJoinTokenLife = absl::Seconds(10);
inline constexpr absl::Duration kMaxJoinTokenLife = absl::Hours(24);
inline constexpr absl::Duration kJoinTokenLife = absl::Minutes(15);  // default
inline constexpr size_t kMaxSerialDigits = 40;                       // RFC 5280: 20 octets
inline constexpr int kCheckpoints = 10;
inline constexpr int kWrittenSteps = 50;
inline constexpr absl::Duration kMinHealthDeadline = absl::Seconds(1);
inline constexpr absl::Duration kMaxHealthDeadline = absl::Seconds(86'400);

// --- Quotas (resources of a cluster) ------------------------------------------------------------

inline constexpr size_t kImages = 10'000;
inline constexpr size_t kLaunchTemplates = 5'000;          // EC2 quotas
inline constexpr size_t kLaunchTemplateVersions = 50'000;  // over all templates
inline constexpr size_t kTargetGroups = 3'000;             // ELB quotas
inline constexpr size_t kLoadBalancers = 1'000;
inline constexpr size_t kCertificates = 10'000;
inline constexpr size_t kSecurityGroups = 500;
inline constexpr size_t kAutoScalingGroups = 1'000;
inline constexpr size_t kTargetsByHand = 100'000;  // over all target groups
inline constexpr size_t kUsers = 10'000;
inline constexpr size_t kJoinTokens = 1'000;  // with those that are kept to be seen
inline constexpr size_t kRevocations = 10'000;
inline constexpr int kGroupsAUser = 100;  // identity.proto

// --- Pages --------------------------------------------------------------------------------------

inline constexpr int kDefaultPageSize = 100;
inline constexpr int kMaxPageSize = 1'000;
inline constexpr size_t kPageTokenBytes = 512;

// --- What is kept (activities and terminated instances: reconcile/limits.h) ----------------------

// Ended deployments of one group, the newest.
inline constexpr size_t kDeploymentsKeptAGroup = 100;
inline constexpr size_t kRequestRecordsKept = 10'000;
inline constexpr absl::Duration kRequestRecordAge = absl::Hours(1);
// Tokens to join with, after their use or their end.
inline constexpr absl::Duration kJoinTokenKeptFor = absl::Hours(24);
// No certificate is let in whose life is longer, so a revocation this old shuts nothing out any
// more and is forgotten.
inline constexpr absl::Duration kCertificateLife = absl::Hours(24 * 400);

}  // namespace remuda::core::limits
