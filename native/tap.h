// An open TAP: the file descriptor, the memory that is registered for sending and receiving, and the poll handle.
#pragma once

#include <memory>
#include <vector>

#include "napi_util.h"

namespace udptap {

class TapTable;
struct RxPoll;

// What flush() needs of a device, and all that it touches.
struct TxQueue {
  int fd = -1;
  uint32_t maxFrames = 0;
  size_t statusOffset = 0;       // int32 count in, frames taken out; int32 0 or a negative errno out
  size_t descriptorsOffset = 0;  // pairs of uint32: offset and length of a frame
  size_t needBytes = SIZE_MAX;   // what the buffer must hold at least

  void Close() {
    fd = -1;
    needBytes = SIZE_MAX;
  }
};

constexpr size_t kStatusBytes = 8;
constexpr size_t kDescriptorBytes = 8;

// Fixed slots: frame i lies at i * strideBytes and is lengths[i] bytes long.
struct RxMemory {
  uint8_t* slots = nullptr;
  uint32_t strideBytes = 0;
  uint32_t* lengths = nullptr;
  uint32_t maxFrames = 0;
  PinnedBuffer slotPin;
  PinnedBuffer lengthPin;

  bool Registered() const { return slotPin.Pinned(); }
  bool Alive() const { return slotPin.Alive() && lengthPin.Alive(); }
  void Release();
};

struct Tap {
  napi_env env = nullptr;
  int32_t id = 0;
  int fd = -1;
  std::shared_ptr<TxQueue> tx = std::make_shared<TxQueue>();
  RxMemory rx;
  RxPoll* poll = nullptr;
  napi_ref owner = nullptr;  // weak: the JavaScript object whose collection closes the device

  ~Tap();
  // Reads what is there into the registered slots: frames read, or a negative errno when the first read failed.
  int ReadFrames();
};

// The devices of one environment (main thread or worker). Ids are small integers, which cross into the addon at the
// least cost; a slot's generation is part of the id, so that a closed device's id never names its successor.
class TapTable {
 public:
  Tap* Add(napi_env env, int fd);
  Tap* Find(int32_t id) const {
    const uint32_t slot = static_cast<uint32_t>(id) & kSlotMask;
    if (slot >= taps_.size()) return nullptr;
    Tap* tap = taps_[slot].get();
    return tap != nullptr && tap->id == id ? tap : nullptr;
  }
  void Close(int32_t id);
  void CloseAll();

 private:
  static constexpr uint32_t kSlotBits = 14;
  static constexpr uint32_t kSlotMask = (1U << kSlotBits) - 1;
  static constexpr uint32_t kGenerationMask = (1U << 16) - 1;

  std::vector<std::unique_ptr<Tap>> taps_;
  std::vector<uint32_t> generations_;
};

// The table that a native function was made with, and its arguments; argc is what the caller passed.
TapTable* Arguments(napi_env env, napi_callback_info info, size_t* argc, napi_value* argv);
// The device that an id names; throws when it is closed or no id at all.
Tap* FindTap(napi_env env, TapTable* table, napi_value id);

void StopPolling(Tap* tap);
// The device's own flush(); null with an exception pending, or none, when it cannot be made.
napi_value MakeFlush(napi_env env, const std::shared_ptr<TxQueue>& tx);

void DefineTap(napi_env env, napi_value exports, std::shared_ptr<TapTable>* table);
void DefineTapTx(napi_env env, napi_value exports, TapTable* table);
void DefineTapRx(napi_env env, napi_value exports, TapTable* table);
void DefineHost(napi_env env, napi_value exports);

void DefineFunction(napi_env env, napi_value exports, const char* name, napi_callback callback, void* data);

}  // namespace udptap
