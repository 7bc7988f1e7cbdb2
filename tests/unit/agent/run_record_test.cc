#include "agent/run_record.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <set>
#include <string>

#include "agent/instance_dir.h"
#include "agent/process.h"

namespace remuda::agent {
namespace {

// A listener on 127.0.0.1 at any port.
struct Listener {
  Listener() : fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(fd.get(), 1), 0);
    getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
    port = ntohs(address.sin_port);
  }
  Fd fd;
  int port = 0;
};

TEST(CanListen, SeesAListenerAndItsEnd) {
  int port = 0;
  {
    const Listener listener;
    port = listener.port;
    EXPECT_FALSE(CanListen("127.0.0.1", port));
    EXPECT_TRUE(CanListen("127.0.1.77", port)) << "another address of this host has its own ports";
  }
  EXPECT_TRUE(CanListen("127.0.0.1", port));
  EXPECT_FALSE(CanListen("localhost", port)) << "not numeric";
}

TEST(PortPicker, GoesRoundAndLeavesOutWhatIsTaken) {
  PortPicker picker;
  std::set<int> taken;
  for (int i = 0; i < 50; ++i) {
    const auto port = picker.Pick("127.0.0.1", taken);
    ASSERT_TRUE(port.ok()) << port.status();
    EXPECT_GE(*port, PortPicker::kFirst);
    EXPECT_LE(*port, PortPicker::kLast);
    EXPECT_TRUE(taken.insert(*port).second) << *port;
  }
  for (int port = PortPicker::kFirst; port <= PortPicker::kLast; ++port) taken.insert(port);
  const auto none = picker.Pick("127.0.0.1", taken);
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.status().message().find("127.0.0.1"), absl::string_view::npos);
}

// Of a host where none of the means could be tried.
const Containment kNothingWorks({.program = "/bin/false", .data_directory = "/d"});

TEST(MakeRunRecord, SetsTheEnvironmentThatAppsAreTold) {
  v1::InstanceAssignment assignment;
  assignment.set_instance("i-1");
  assignment.set_auto_scaling_group("blue");
  auto& t = *assignment.mutable_launch_template();
  t.add_command("node");
  t.add_command("app.js");
  (*t.mutable_env())["GREETING"] = "Hello, \"New\" World!\n";
  (*t.mutable_env())["LANG"] = "de_DE.UTF-8";
  t.set_stop_signal("SIGQUIT");
  t.mutable_stop_grace()->set_seconds(2);
  t.mutable_stop_grace()->set_nanos(500'000'000);
  const Record run = MakeRunRecord(assignment,
                                   {.host = {.address = "10.0.0.1", .zone = "a"},
                                    .dir = {"/d"},
                                    .user = std::nullopt,
                                    .port = 8000,
                                    .restarts = 2,
                                    .cgroups = {"/cg"},
                                    .agent_url = "http://127.0.0.1:7470",
                                    .token = "secret"},
                                   kNothingWorks);
  const auto env = run.All(key::kEnv);
  const auto has = [&](const std::string& entry) {
    return std::count(env.begin(), env.end(), entry) == 1;
  };
  EXPECT_TRUE(has("PORT=8000"));
  EXPECT_TRUE(has("HOST=10.0.0.1"));
  EXPECT_TRUE(has("REMUDA_INSTANCE=i-1"));
  EXPECT_TRUE(has("REMUDA_GROUP=blue"));
  EXPECT_TRUE(has("REMUDA_ZONE=a"));
  EXPECT_TRUE(has("REMUDA_AGENT_URL=http://127.0.0.1:7470"));
  EXPECT_TRUE(has("REMUDA_INSTANCE_TOKEN=secret"));
  EXPECT_TRUE(has("GREETING=Hello, \"New\" World!\n"));
  EXPECT_TRUE(has("LANG=de_DE.UTF-8")) << "the template's value wins";
  EXPECT_TRUE(has("HOME=/d/app"));
  EXPECT_TRUE(has("TMPDIR=/d/tmp")) << "it has no /tmp of its own";
  EXPECT_TRUE(has(std::string(kRunIdVariable) + "=" + run.Text(key::kRunId)));
  EXPECT_EQ(run.All(key::kArg), (std::vector<std::string>{"node", "app.js"}));
  EXPECT_EQ(run.Number(key::kGraceMs), 2500);
  EXPECT_EQ(run.Number(key::kStopSignal), SIGQUIT);
  EXPECT_EQ(run.Number(key::kRestarts), 2);
  EXPECT_EQ(run.Text(key::kUid), "");
  // It survives the file.
  const auto again = Record::Decode(run.Encode());
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->Encode(), run.Encode());
}

TEST(Record, RefusesWhatIsNoRecord) {
  EXPECT_TRUE(Record::Decode("").has_value());
  for (const std::string& bad :
       {std::string("a=b"), std::string("ab\0", 3), std::string("a=b\0c", 5)}) {
    EXPECT_FALSE(Record::Decode(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace remuda::agent
