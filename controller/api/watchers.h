// Watchers: the Watch… streams of the API. Each shows a set of resources now and then what changed,
// coalesced to the newest state while its caller is slow.
//
// Owns: what each watcher has been sent. Does not own: how a resource is read (core::Read). Thread:
// the loop thread.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "common/status.h"
#include "controller/api/response_stream.h"
#include "controller/core/door/read_metrics.h"
#include "controller/core/model/names.h"
#include "controller/engine/engine.h"
#include "controller/engine/loop.h"
#include "controller/limits.h"
#include "remuda/v1/activity.pb.h"
#include "remuda/v1/metrics.pb.h"

namespace remuda {

class Watcher {
 public:
  virtual ~Watcher() = default;
  // Looks whether what it shows has changed, and sends that if the stream is free.
  virtual void Look(const Touched& touched) = 0;
  virtual void OnCommit(const core::Changes&) {}
  virtual void Close(const absl::Status& status) = 0;
};

class Watchers {
 public:
  Watchers(Engine& engine, Loop& loop, Metrics& metrics)
      : engine_(engine), loop_(loop), metrics_(metrics) {}

  // Adds a watcher, or says that there are too many. It is dropped by Remove.
  absl::Status Add(std::shared_ptr<Watcher> watcher);
  void Remove(const Watcher* watcher);

  void Look(const Touched& touched);
  void OnCommit(const core::Changes& changes);
  // Ends every watch with UNAVAILABLE.
  void CloseAll();

  Engine& engine() { return engine_; }
  Loop& loop() { return loop_; }

 private:
  Engine& engine_;
  Loop& loop_;
  Metrics& metrics_;
  std::map<const Watcher*, std::shared_ptr<Watcher>> watchers_;
  bool closing_ = false;
};

// A watcher of a set of named resources: everything at first, then what changed and what went. At
// most one look every kInterval, at what has been touched since the last. `Key` is what a resource
// is touched by.
template <class Item, class Response, class Key>
class SetWatcher final : public Watcher,
                         public std::enable_shared_from_this<SetWatcher<Item, Response, Key>> {
 public:
  using Stream = std::shared_ptr<ResponseStream<Response>>;
  struct Functions {
    // The set as it is now, by name, or those of `only` that are in it; an error ends the watch.
    std::function<absl::StatusOr<std::map<std::string, Item>>(const std::set<Key>* only)> read;
    // Adds what may have changed; answers true if all of it may have.
    std::function<bool(const Touched&, std::set<Key>&)> touched;
    std::function<std::string(const Key&)> name_of;
    std::function<void(Response&, Item)> add;
    // Whether nothing more can change: the watch ends OK. May be null.
    std::function<bool(const std::map<std::string, Item>&)> is_last;
    // Says that a resource went; may do nothing.
    std::function<void(Response&, const std::string&)> remove;
  };
  static constexpr absl::Duration kInterval = absl::Milliseconds(20);

  SetWatcher(Watchers& watchers, Stream stream, Functions functions)
      : watchers_(watchers), stream_(std::move(stream)), functions_(std::move(functions)) {}

  // Adds the watcher and sends the first message.
  static void Begin(Watchers& watchers, Stream stream, Functions functions) {
    auto watcher = std::make_shared<SetWatcher>(watchers, stream, std::move(functions));
    if (absl::Status status = watchers.Add(watcher); !status.ok()) return stream->Close(status);
    stream->set_on_closed([&watchers, raw = watcher.get()] { watchers.Remove(raw); });
    stream->set_on_drained([raw = watcher.get()] { raw->Next(); });
    watcher->Next();
  }

  void Look(const Touched& touched) override {
    all_ = functions_.touched(touched, some_) || all_;
    Next();
  }
  void Close(const absl::Status& status) override { stream_->Close(status); }

 private:
  void Next() {
    if ((!all_ && some_.empty()) || waiting_ || stream_->queued() != 0 || stream_->closed()) return;
    const absl::Time now = watchers_.engine().Now();
    if (now < not_before_) {
      waiting_ = true;
      watchers_.loop().At(not_before_, [weak = this->weak_from_this()] {
        const auto self = weak.lock();
        if (self == nullptr) return;
        self->waiting_ = false;
        self->Next();
      });
      return;
    }
    not_before_ = now + kInterval;
    Send();
  }

  void Send() {
    const auto keep = this->shared_from_this();
    const std::set<Key> some = std::exchange(some_, {});
    const bool all = std::exchange(all_, false);
    absl::StatusOr<std::map<std::string, Item>> items = functions_.read(all ? nullptr : &some);
    if (!items.ok()) return End(items.status());
    const bool is_last = functions_.is_last && functions_.is_last(*items);
    Response response;
    bool has_change = first_;
    first_ = false;
    const auto remove = [&](const std::string& name) {
      has_change = true;
      functions_.remove(response, name);
    };
    if (all) {
      std::erase_if(sent_, [&](const auto& entry) {
        if (items->contains(entry.first)) return false;
        remove(entry.first);
        return true;
      });
    } else {
      for (const Key& key : some) {
        const std::string name = functions_.name_of(key);
        if (!items->contains(name) && sent_.erase(name) != 0) remove(name);
      }
    }
    for (auto& [name, item] : *items) {
      std::string bytes = item.SerializeAsString();
      std::string& before = sent_[name];
      if (before == bytes) continue;
      before = std::move(bytes);
      has_change = true;
      functions_.add(response, std::move(item));
    }
    if (has_change) stream_->Send(std::move(response));
    if (is_last) End(absl::OkStatus());
  }

  void End(const absl::Status& status) {
    stream_->CloseAfterSent(status);
    watchers_.Remove(this);
  }

  Watchers& watchers_;
  const Stream stream_;
  const Functions functions_;
  std::map<std::string, std::string> sent_;  // bytes by name
  absl::Time not_before_ = absl::InfinitePast();
  // Touched since the last look.
  std::set<Key> some_;
  bool all_ = true;
  bool first_ = true;
  bool waiting_ = false;
};

// A watcher of a group's metrics: the last values at first, then the new ones of each period.
class MetricsWatcher final : public Watcher {
 public:
  using Stream = std::shared_ptr<ResponseStream<v1::WatchMetricsResponse>>;
  static void Begin(Watchers& watchers, Stream stream, core::MetricsWanted wanted);

  MetricsWatcher(Watchers& watchers, Stream stream, core::MetricsWanted wanted)
      : watchers_(watchers), stream_(std::move(stream)), wanted_(std::move(wanted)) {}
  void Look(const Touched& touched) override;
  void Close(const absl::Status& status) override { stream_->Close(status); }

 private:
  void Next();

  Watchers& watchers_;
  const Stream stream_;
  const core::MetricsWanted wanted_;
  absl::Time sent_ = absl::InfinitePast();  // time of the newest value
  bool is_new_ = true;                      // there are values that were not sent
};

// A watcher of new and changed activities about one resource, or all.
class ActivityWatcher final : public Watcher {
 public:
  using Stream = std::shared_ptr<ResponseStream<v1::WatchActivitiesResponse>>;
  static void Begin(Watchers& watchers, Stream stream, std::string resource);

  ActivityWatcher(Watchers& watchers, Stream stream, std::string resource)
      : watchers_(watchers), stream_(std::move(stream)), resource_(std::move(resource)) {}
  void Look(const Touched&) override { Next(); }
  void OnCommit(const core::Changes& changes) override;
  void Close(const absl::Status& status) override { stream_->Close(status); }

 private:
  void Next();

  Watchers& watchers_;
  const Stream stream_;
  const std::string resource_;
  std::map<std::string, std::shared_ptr<const v1::Activity>> waiting_;  // by key
};

}  // namespace remuda
