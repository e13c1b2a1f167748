// Sending: one write(2) a frame, out of one ArrayBuffer that holds the frames, their descriptors and the status.
//
// A call from JavaScript costs as much as its arguments and results do, so flush() has one argument and no result: the
// frame count comes in, and the outcome goes out, through two cells of the buffer. Its function belongs to one device,
// which is found without a lookup. The buffer comes with each call, since asking where it lies is cheaper than asking
// whether an address that was kept is still its own: a WebAssembly.Memory that grew is no danger.
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "tap.h"

namespace udptap {

namespace {

inline ssize_t Write(int fd, const uint8_t* frame, size_t lengthBytes) {
#ifdef __SANITIZE_ADDRESS__
  return write(fd, frame, lengthBytes);  // the sanitizer looks at what write() is given, not at a raw system call
#else
  // Not write(): as a cancellation point it takes two atomic operations in a process with threads, as Node's is.
  return syscall(SYS_write, fd, frame, lengthBytes);
#endif
}

inline int WriteFrame(int fd, const uint8_t* frame, size_t lengthBytes) {
  while (Write(fd, frame, lengthBytes) < 0) {
    if (errno != EINTR) return -errno;
  }
  return 0;
}

napi_value Refuse(napi_env env, const TxQueue& tx, bool isBuffer) {
  if (tx.fd < 0) return ThrowType(env, "ERR_TAP_CLOSED", "the TAP device is closed");
  if (!isBuffer) return ThrowType(env, "ERR_INVALID_ARG_TYPE", "flush needs the arena's ArrayBuffer");
  if (tx.maxFrames == 0) return ThrowType(env, "ERR_INVALID_STATE", "no descriptors are registered with this device");
  return ThrowRange(env, "ERR_OUT_OF_RANGE", "the arena does not hold the registered descriptors (detached?)");
}

// tap.flush(buffer): writes the first status[0] descriptors' frames, up to the first error. Leaves in status the number of
// frames taken and 0 or a negative errno.
napi_value Flush(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  void* data = nullptr;
  napi_get_cb_info(env, info, &argc, argv, nullptr, &data);
  const TxQueue& tx = *static_cast<TxQueue*>(data);
  void* memory = nullptr;
  size_t memoryBytes = 0;
  const bool isBuffer = napi_get_arraybuffer_info(env, argv[0], &memory, &memoryBytes) == napi_ok;
  // A closed or unregistered queue needs more bytes than any buffer has.
  if (!isBuffer || memoryBytes < tx.needBytes) return Refuse(env, tx, isBuffer);

  uint8_t* arena = static_cast<uint8_t*>(memory);
  auto* status = reinterpret_cast<int32_t*>(arena + tx.statusOffset);
  const auto* descriptor = reinterpret_cast<const uint32_t*>(arena + tx.descriptorsOffset);
  const int32_t count = status[0];
  if (count < 0 || static_cast<uint32_t>(count) > tx.maxFrames) {
    return ThrowRange(env, "ERR_OUT_OF_RANGE", "the frame count is past the registered descriptors");
  }
  int32_t taken = 0;
  int error = 0;
  for (; taken < count; taken++, descriptor += 2) {
    const uint64_t offset = descriptor[0];
    const uint64_t lengthBytes = descriptor[1];
    if (offset + lengthBytes > memoryBytes) {
      status[0] = taken;
      status[1] = 0;
      return ThrowRange(env, "ERR_OUT_OF_RANGE", "a frame reaches past the end of the arena");
    }
    error = WriteFrame(tx.fd, arena + offset, lengthBytes);
    if (error != 0) break;
  }
  status[0] = taken;
  status[1] = error;
  return nullptr;
}

// registerDescriptors(id, statusOffset, descriptorsOffset, maxFrames): offsets in bytes from the start of the buffer that
// flush() will be given.
napi_value RegisterDescriptors(napi_env env, napi_callback_info info) {
  size_t argc = 4;
  napi_value argv[4];
  TapTable* table = Arguments(env, info, &argc, argv);
  Tap* tap = FindTap(env, table, argv[0]);
  int64_t status = 0;
  int64_t descriptors = 0;
  int64_t frames = 0;
  if (tap == nullptr || !GetInteger(env, argv[1], "the status offset", 0, UINT32_MAX, &status) ||
      !GetInteger(env, argv[2], "the descriptors' offset", 0, UINT32_MAX, &descriptors) ||
      !GetInteger(env, argv[3], "the number of descriptors", 1, INT32_MAX / 8, &frames)) {
    return nullptr;
  }
  if (status % 4 != 0 || descriptors % 4 != 0) {
    return ThrowRange(env, "ERR_OUT_OF_RANGE", "status and descriptors must be aligned to 4 bytes");
  }
  const uint64_t statusEnd = static_cast<uint64_t>(status) + kStatusBytes;
  const uint64_t descriptorsEnd = static_cast<uint64_t>(descriptors) + static_cast<uint64_t>(frames) * kDescriptorBytes;
  TxQueue& tx = *tap->tx;
  tx.statusOffset = static_cast<size_t>(status);
  tx.descriptorsOffset = static_cast<size_t>(descriptors);
  tx.maxFrames = static_cast<uint32_t>(frames);
  tx.needBytes = static_cast<size_t>(statusEnd > descriptorsEnd ? statusEnd : descriptorsEnd);
  return nullptr;
}

}  // namespace

napi_value MakeFlush(napi_env env, const std::shared_ptr<TxQueue>& tx) {
  napi_value function = nullptr;
  if (napi_create_function(env, "flush", NAPI_AUTO_LENGTH, Flush, tx.get(), &function) != napi_ok) return nullptr;
  // The function may outlive the device; the queue lives as long as either.
  auto* held = new std::shared_ptr<TxQueue>(tx);
  const auto drop = [](napi_env, void* pointer, void*) { delete static_cast<std::shared_ptr<TxQueue>*>(pointer); };
  if (napi_add_finalizer(env, function, held, drop, nullptr, nullptr) == napi_ok) return function;
  delete held;
  return nullptr;
}

void DefineTapTx(napi_env env, napi_value exports, TapTable* table) {
  DefineFunction(env, exports, "registerDescriptors", RegisterDescriptors, table);
}

}  // namespace udptap
