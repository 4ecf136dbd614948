// What an option is: its place in the tables (option_table.h), its names, what --help says of it.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::app {

// Of all commands: a name that two of them share, such as --verbose, means the same in both.
enum class OptionId : std::uint8_t {
  kAddress,
  kGateway,
  kDns,
  kNoDns,
  kOnlyV4,
  kOnlyV6,
  kMtu,
  kMac,
  kInterface,
  kPublish,
  kTcpPorts,
  kUdpPorts,
  kIgnoreBindErrors,
  kTcpNs,
  kUdpNs,
  kHostLoToNsLo,
  kHostLoopback,
  kHostAddresses,
  kOutbound,
  kNat64Prefix,
  kDeny,
  kAllow,
  kPolicy,
  kAudit,
  kLearn,
  kGeneralise,
  kProfile,
  kDefault,
  kAsk,
  kAskTimeout,
  kAskExec,
  kMaxFlows,
  kNewFlowsPerSecond,
  kLimit,
  kReport,
  kReportFile,
  kFlowLog,
  kEvents,
  kMetrics,
  kPcap,
  kTrace,
  kLogLevel,
  kVerbose,
  kFastPath,
  kAsRoot,
  kPid,
  kNetns,
  kUserns,
  kBackground,
  kReadyFd,
  kExitFd,
  kSocket,
  kDatagram,
  kSeqpacket,
  kVhostUser,
  kVhostUserConnect,
  kQueues,
  kFd,
  kOneOff,
  kCpus,
  kMemory,
  kKernel,
  kFetchKernel,
  kNetQueues,
  kRoot,
  kShare,
  kEnv,
  kWorkdir,
  kConfig,
  kCheck,
  kBalance,
  kFraming,
  kProxyIn,
  kProxyFrom,
  kProxyOut,
  kConnectFrom,
  kTimeoutConnect,
  kTimeoutIdle,
  kTimeoutHalfClosed,
  kTimeoutUdp,
  kRelay,
  kBufferSize,
  kWorkers,
  kDrainTimeout,
  kNoWatch,
  kPidFile,
  kUser,
  kLogFile,
  kLogFormat,
  kJson,
  kOnce,
  kFollow,
  kDenied,
  kName,
  kProto,
  kPort,
  kPeer,
  kReason,
  kType,
  kFlow,
  kTo,
  kListen,
  kHelp,
  kVersion,
  kCount,  // How many there are.
};

enum class OptionKind : std::uint8_t {
  kFlag,           // --pid
  kOptionalValue,  // --report or --report=json
  kOptionalList,   // --ask or --ask=TARGET, as often as one likes
  kValue,          // --mtu N; the last one counts
  kList,           // --deny RULE, as often as one likes
};

struct OptionSpec {
  OptionId id;
  OptionKind kind;
  std::string_view names;  // As CLI11 takes them: "-p,--publish".
  std::string_view value;  // The value's name in --help; empty for a flag.
  std::string_view group;  // Heading in --help. Options of a group stand together.
  std::string_view help;   // Lines are broken by hand, 53 columns at most.
};

}  // namespace sluice::app
