// Receiving: readiness from the event loop of the thread that loaded the addon, many frames a callback. No thread pool,
// so any number of open devices leaves file reads alone.
#include <unistd.h>
#include <uv.h>

#include <cerrno>

#include "tap.h"

namespace udptap {

// Lives from the first startRead() until libuv has let go of the handle, which is later than the device's own end.
struct RxPoll {
  uv_poll_t handle;
  Tap* tap;  // null once the device is closed
  napi_env env;
  napi_ref callback = nullptr;
  napi_ref owner = nullptr;  // strong while reading: what the loop reads for must not be collected
  napi_async_context context = nullptr;
  napi_async_cleanup_hook_handle hook = nullptr;
};

namespace {

// After so many callbacks in one turn the loop gets its chance; what is left makes the descriptor readable again.
constexpr int kCallbacksPerTurn = 4;
constexpr size_t kMinStrideBytes = 14;

void DropCallback(RxPoll* poll) {
  if (poll->callback != nullptr) napi_delete_reference(poll->env, poll->callback);
  if (poll->owner != nullptr) napi_delete_reference(poll->env, poll->owner);
  if (poll->context != nullptr) napi_async_destroy(poll->env, poll->context);
  poll->callback = nullptr;
  poll->owner = nullptr;
  poll->context = nullptr;
}

void Pause(RxPoll* poll) {
  uv_poll_stop(&poll->handle);
  DropCallback(poll);
}

// Calls back with a frame count or a negative errno; an exception becomes the process's uncaughtException.
void Report(RxPoll* poll, int result) {
  napi_env env = poll->env;
  napi_value receiver = nullptr;
  napi_value callback = nullptr;
  napi_get_reference_value(env, poll->owner, &receiver);
  napi_get_reference_value(env, poll->callback, &callback);
  napi_value argument = nullptr;
  napi_create_int32(env, result, &argument);
  napi_value ignored = nullptr;
  if (napi_make_callback(env, poll->context, receiver, callback, 1, &argument, &ignored) == napi_pending_exception) {
    napi_value exception = nullptr;
    if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) napi_fatal_exception(env, exception);
  }
}

void OnReadable(uv_poll_t* handle, int status, int) {
  auto* poll = static_cast<RxPoll*>(handle->data);
  napi_env env = poll->env;
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  // The callback may stop reading, close the device or register other memory: everything is asked anew each time.
  for (int turn = 0; turn < kCallbacksPerTurn && poll->tap != nullptr && poll->callback != nullptr; turn++) {
    Tap* tap = poll->tap;
    const uint32_t capacity = tap->rx.maxFrames;
    int result = tap->ReadFrames();
    // libuv has stopped the handle already when it reports an error, so that silence would last for ever.
    if (result == 0 && turn == 0 && status < 0) result = status;
    if (result == 0) break;
    if (result < 0) {
      // The interface is gone (EBADFD) or its memory is: no later read can succeed, and the loop would spin.
      uv_poll_stop(&poll->handle);
      Report(poll, result);
      if (poll->tap != nullptr) Pause(poll);
      break;
    }
    Report(poll, result);
    if (static_cast<uint32_t>(result) < capacity) break;
  }
  napi_close_handle_scope(env, scope);
}

void OnPollClosed(uv_handle_t* handle) {
  auto* poll = static_cast<RxPoll*>(handle->data);
  napi_remove_async_cleanup_hook(poll->hook);
  delete poll;
}

// The environment (a worker, or the process) ends with the device open: its loop must not be left with our handle.
void OnEnvironmentEnd(napi_async_cleanup_hook_handle, void* data) {
  auto* poll = static_cast<RxPoll*>(data);
  if (poll->tap != nullptr) StopPolling(poll->tap);
}

// Makes the device's poll handle; 0 or a negative errno.
int MakePoll(Tap* tap) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(tap->env, &loop) != napi_ok) return -ENOSYS;
  auto* poll = new RxPoll;
  const int error = uv_poll_init(loop, &poll->handle, tap->fd);
  if (error != 0) {
    delete poll;
    return error;
  }
  poll->handle.data = poll;
  poll->tap = tap;
  poll->env = tap->env;
  uv_unref(reinterpret_cast<uv_handle_t*>(&poll->handle));
  napi_add_async_cleanup_hook(tap->env, OnEnvironmentEnd, poll, &poll->hook);
  tap->poll = poll;
  return 0;
}

// registerReceive(id, buffer, strideBytes, lengths)
napi_value RegisterReceive(napi_env env, napi_callback_info info) {
  size_t argc = 4;
  napi_value argv[4];
  TapTable* table = Arguments(env, info, &argc, argv);
  Tap* tap = FindTap(env, table, argv[0]);
  if (tap == nullptr) return nullptr;
  Bytes slots;
  Bytes lengths;
  int64_t stride = 0;
  if (!ReadBytes(env, argv[1], &slots) || slots.type != napi_uint8_array) {
    return ThrowType(env, "ERR_INVALID_ARG_TYPE", "the receive buffer must be a Uint8Array or ArrayBuffer");
  }
  if (!GetInteger(env, argv[2], "the stride", kMinStrideBytes, INT32_MAX, &stride)) return nullptr;
  if (!ReadBytes(env, argv[3], &lengths) || lengths.type != napi_uint32_array) {
    return ThrowType(env, "ERR_INVALID_ARG_TYPE", "the lengths must be a Uint32Array");
  }
  const uint64_t frames = lengths.lengthBytes / 4;
  if (frames == 0 || frames > INT32_MAX || frames * static_cast<uint64_t>(stride) > slots.lengthBytes) {
    return ThrowRange(env, "ERR_OUT_OF_RANGE", "the receive buffer must hold one stride for each length");
  }
  RxMemory& rx = tap->rx;
  rx.Release();
  if (!rx.slotPin.Pin(env, slots, "the receive buffer") || !rx.lengthPin.Pin(env, lengths, "the lengths")) {
    rx.Release();
    return nullptr;
  }
  rx.slots = slots.data;
  rx.strideBytes = static_cast<uint32_t>(stride);
  rx.lengths = reinterpret_cast<uint32_t*>(lengths.data);
  rx.maxFrames = static_cast<uint32_t>(frames);
  return nullptr;
}

// The device, when it has receive memory; throws otherwise.
Tap* ReceivingTap(napi_env env, TapTable* table, napi_value id) {
  Tap* tap = FindTap(env, table, id);
  if (tap == nullptr) return nullptr;
  if (!tap->rx.Registered()) {
    ThrowType(env, "ERR_INVALID_STATE", "no receive buffer is registered with this device");
    return nullptr;
  }
  if (!tap->rx.Alive()) {
    ThrowType(env, "ERR_INVALID_STATE", "the receive buffer's memory has grown or moved away: register it again");
    return nullptr;
  }
  return tap;
}

// readNow(id): frames read at once into the registered slots, 0 when there are none, or a negative errno.
napi_value ReadNow(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  TapTable* table = Arguments(env, info, &argc, argv);
  Tap* tap = ReceivingTap(env, table, argv[0]);
  return tap == nullptr ? nullptr : Int(env, tap->ReadFrames());
}

// startRead(id, callback): 0 or a negative errno. A second call replaces the callback.
napi_value StartRead(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  TapTable* table = Arguments(env, info, &argc, argv);
  Tap* tap = ReceivingTap(env, table, argv[0]);
  if (tap == nullptr || !GetFunction(env, argv[1], "the callback")) return nullptr;
  if (tap->poll == nullptr) {
    const int error = MakePoll(tap);
    if (error != 0) return Int(env, error);
  }
  RxPoll* poll = tap->poll;
  DropCallback(poll);
  napi_value owner = nullptr;
  napi_get_reference_value(env, tap->owner, &owner);
  if (owner == nullptr || napi_create_reference(env, owner, 1, &poll->owner) != napi_ok ||
      napi_create_reference(env, argv[1], 1, &poll->callback) != napi_ok ||
      napi_async_init(env, owner, String(env, "UDPTAP"), &poll->context) != napi_ok) {
    Pause(poll);
    return ThrowType(env, "ERR_INVALID_STATE", "the device object has been collected");
  }
  return Int(env, uv_poll_start(&poll->handle, UV_READABLE, OnReadable));
}

napi_value StopRead(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  TapTable* table = Arguments(env, info, &argc, argv);
  Tap* tap = FindTap(env, table, argv[0]);
  if (tap != nullptr && tap->poll != nullptr) Pause(tap->poll);
  return nullptr;
}

// setRef(id, on): whether reading keeps the process alive.
napi_value SetRef(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  TapTable* table = Arguments(env, info, &argc, argv);
  Tap* tap = FindTap(env, table, argv[0]);
  bool on = false;
  if (tap == nullptr || !GetBool(env, argv[1], "on", &on)) return nullptr;
  if (tap->poll == nullptr) {
    const int error = MakePoll(tap);
    if (error != 0) return Int(env, error);
  }
  auto* handle = reinterpret_cast<uv_handle_t*>(&tap->poll->handle);
  on ? uv_ref(handle) : uv_unref(handle);
  return Int(env, 0);
}

}  // namespace

int Tap::ReadFrames() {
  if (!rx.Registered() || !rx.Alive()) return -EFAULT;
  uint32_t count = 0;
  while (count < rx.maxFrames) {
    const ssize_t got = read(fd, rx.slots + static_cast<size_t>(count) * rx.strideBytes, rx.strideBytes);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || count > 0) break;
      return -errno;
    }
    rx.lengths[count++] = static_cast<uint32_t>(got);
  }
  return static_cast<int>(count);
}

void StopPolling(Tap* tap) {
  RxPoll* poll = tap->poll;
  if (poll == nullptr) return;
  tap->poll = nullptr;
  poll->tap = nullptr;
  Pause(poll);
  uv_close(reinterpret_cast<uv_handle_t*>(&poll->handle), OnPollClosed);
}

void DefineTapRx(napi_env env, napi_value exports, TapTable* table) {
  DefineFunction(env, exports, "registerReceive", RegisterReceive, table);
  DefineFunction(env, exports, "startRead", StartRead, table);
  DefineFunction(env, exports, "stopRead", StopRead, table);
  DefineFunction(env, exports, "readNow", ReadNow, table);
  DefineFunction(env, exports, "setRef", SetRef, table);
}

}  // namespace udptap
