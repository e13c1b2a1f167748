// An open TAP: the file descriptor, the memory that is registered for sending and receiving, and the poll handle.
#pragma once

#include <memory>
#include <vector>

#include "napi_util.h"

namespace udptap {

class TapTable;
struct RxPoll;

// What flush() needs; raw addresses are valid while the pins are alive.
struct TxMemory {
  const uint8_t* arena = nullptr;
  uint64_t arenaBytes = 0;
  const uint32_t* descriptors = nullptr;  // pairs of offset and length
  uint32_t maxFrames = 0;
  int32_t* status = nullptr;  // frames taken, then 0 or a negative errno
  PinnedBuffer arenaPin;
  PinnedBuffer descriptorPin;
  PinnedBuffer statusPin;
  // Distinct ArrayBuffers among the three: all in one WebAssembly.Memory costs one check a call.
  const PinnedBuffer* checks[3] = {};
  int checkCount = 0;

  bool Alive() const {
    for (int i = 0; i < checkCount; i++) {
      if (!checks[i]->Alive()) return false;
    }
    return true;
  }
  void Release();
};

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
  TxMemory tx;
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

void DefineTap(napi_env env, napi_value exports, std::shared_ptr<TapTable>* table);
void DefineTapTx(napi_env env, napi_value exports, TapTable* table);
void DefineTapRx(napi_env env, napi_value exports, TapTable* table);
void DefineHost(napi_env env, napi_value exports);

void DefineFunction(napi_env env, napi_value exports, const char* name, napi_callback callback, void* data);

}  // namespace udptap
