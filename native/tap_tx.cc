// Sending: one write(2) a frame out of registered memory. The two functions that run for every batch of datagrams take
// small integers and create nothing.
#include <unistd.h>

#include <cerrno>

#include "tap.h"

namespace udptap {

namespace {

inline int WriteFrame(int fd, const uint8_t* frame, size_t lengthBytes) {
  while (write(fd, frame, lengthBytes) < 0) {
    if (errno != EINTR) return -errno;
  }
  return 0;
}

bool Register(napi_env env, napi_value value, const char* what, napi_typedarray_type type, PinnedBuffer* pin, Bytes* out) {
  if (!ReadBytes(env, value, out) || out->type != type) {
    ThrowType(env, "ERR_INVALID_ARG_TYPE", (std::string(what) + " is not the kind of array that is asked for").c_str());
    return false;
  }
  return pin->Pin(env, *out, what);
}

// registerArena(id, arena, descriptors, status)
napi_value RegisterArena(napi_env env, napi_callback_info info) {
  size_t argc = 4;
  napi_value argv[4];
  TapTable* table = Arguments(env, info, &argc, argv);
  Tap* tap = FindTap(env, table, argv[0]);
  if (tap == nullptr) return nullptr;
  TxMemory& tx = tap->tx;
  tx.Release();
  Bytes arena;
  Bytes descriptors;
  Bytes status;
  if (!Register(env, argv[1], "the arena (Uint8Array or ArrayBuffer)", napi_uint8_array, &tx.arenaPin, &arena) ||
      !Register(env, argv[2], "the descriptors (Uint32Array)", napi_uint32_array, &tx.descriptorPin, &descriptors) ||
      !Register(env, argv[3], "the status (Int32Array)", napi_int32_array, &tx.statusPin, &status)) {
    tx.Release();
    return nullptr;
  }
  if (descriptors.lengthBytes < 8 || status.lengthBytes < 8) {
    tx.Release();
    return ThrowRange(env, "ERR_OUT_OF_RANGE", "descriptors and status must hold at least two numbers");
  }
  tx.arena = arena.data;
  tx.arenaBytes = arena.lengthBytes;
  tx.descriptors = reinterpret_cast<const uint32_t*>(descriptors.data);
  tx.maxFrames = static_cast<uint32_t>(descriptors.lengthBytes / 8 > INT32_MAX ? INT32_MAX : descriptors.lengthBytes / 8);
  tx.status = reinterpret_cast<int32_t*>(status.data);
  tx.checks[tx.checkCount++] = &tx.arenaPin;
  if (!tx.descriptorPin.Same(tx.arenaPin)) tx.checks[tx.checkCount++] = &tx.descriptorPin;
  if (!tx.statusPin.Same(tx.arenaPin) && !tx.statusPin.Same(tx.descriptorPin)) {
    tx.checks[tx.checkCount++] = &tx.statusPin;
  }
  return nullptr;
}

// True when the registered memory can be used now; throws otherwise.
inline bool Ready(napi_env env, const TxMemory& tx) {
  if (tx.checkCount == 0) {
    ThrowType(env, "ERR_INVALID_STATE", "no arena is registered with this device");
    return false;
  }
  if (!tx.Alive()) {
    ThrowType(env, "ERR_INVALID_STATE", "the arena's memory has grown or moved away: register it again");
    return false;
  }
  return true;
}

// flush(id, count): writes descriptors 0 to count-1, stops at the first error, and returns the number of frames taken.
napi_value Flush(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  TapTable* table = Arguments(env, info, &argc, argv);
  Tap* tap = FindTap(env, table, argv[0]);
  if (tap == nullptr) return nullptr;
  const TxMemory& tx = tap->tx;
  int32_t count = 0;
  if (napi_get_value_int32(env, argv[1], &count) != napi_ok) {
    return ThrowType(env, "ERR_INVALID_ARG_TYPE", "the frame count must be a number");
  }
  if (!Ready(env, tx)) return nullptr;
  if (count < 0 || static_cast<uint32_t>(count) > tx.maxFrames) {
    return ThrowRange(env, "ERR_OUT_OF_RANGE", "the frame count is past the registered descriptors");
  }
  int32_t taken = 0;
  int error = 0;
  for (; taken < count; taken++) {
    const uint64_t offset = tx.descriptors[2 * taken];
    const uint64_t length = tx.descriptors[2 * taken + 1];
    if (offset + length > tx.arenaBytes) {
      tx.status[0] = taken;
      tx.status[1] = 0;
      return ThrowRange(env, "ERR_OUT_OF_RANGE", "a frame reaches past the end of the arena");
    }
    error = WriteFrame(tap->fd, tx.arena + offset, length);
    if (error != 0) break;
  }
  tx.status[0] = taken;
  tx.status[1] = error;
  napi_value result;
  napi_create_int32(env, taken, &result);
  return result;
}

// flush1(id, offset, length): writes one frame; 0, or a negative errno.
napi_value Flush1(napi_env env, napi_callback_info info) {
  size_t argc = 3;
  napi_value argv[3];
  TapTable* table = Arguments(env, info, &argc, argv);
  Tap* tap = FindTap(env, table, argv[0]);
  if (tap == nullptr) return nullptr;
  const TxMemory& tx = tap->tx;
  uint32_t offset = 0;
  uint32_t length = 0;
  if (napi_get_value_uint32(env, argv[1], &offset) != napi_ok ||
      napi_get_value_uint32(env, argv[2], &length) != napi_ok) {
    return ThrowType(env, "ERR_INVALID_ARG_TYPE", "offset and length must be numbers");
  }
  if (!Ready(env, tx)) return nullptr;
  if (static_cast<uint64_t>(offset) + length > tx.arenaBytes) {
    return ThrowRange(env, "ERR_OUT_OF_RANGE", "the frame reaches past the end of the arena");
  }
  napi_value result;
  napi_create_int32(env, WriteFrame(tap->fd, tx.arena + offset, length), &result);
  return result;
}

}  // namespace

void DefineTapTx(napi_env env, napi_value exports, TapTable* table) {
  DefineFunction(env, exports, "registerArena", RegisterArena, table);
  DefineFunction(env, exports, "flush", Flush, table);
  DefineFunction(env, exports, "flush1", Flush1, table);
}

}  // namespace udptap
