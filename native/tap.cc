// Opening, configuring and closing TAP devices.
#include "tap.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#ifndef IFF_NO_CARRIER
#define IFF_NO_CARRIER 0x0040
#endif
#ifndef TUNSETCARRIER
#define TUNSETCARRIER _IOW('T', 226, int)
#endif

namespace udptap {

namespace {

constexpr int kVnetHeaderBytes = 10;
constexpr int64_t kAllowedFlags =
    IFF_TAP | IFF_NO_PI | IFF_NO_CARRIER | IFF_MULTI_QUEUE | IFF_VNET_HDR | static_cast<int64_t>(IFF_TUN_EXCL);

// What the owner object's finalizer needs; the table outlives the environment's own reference to it through this one.
struct Owner {
  std::shared_ptr<TapTable> table;
  int32_t id;
};

int OpenTap(const std::string& name, int flags, ifreq* request) {
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return -errno;
  memset(request, 0, sizeof *request);
  memcpy(request->ifr_name, name.data(), name.size());
  request->ifr_flags = static_cast<short>(flags | IFF_TAP | IFF_NO_PI);
  int headerBytes = kVnetHeaderBytes;
  if (ioctl(fd, TUNSETIFF, request) < 0 ||
      ((flags & IFF_VNET_HDR) != 0 && ioctl(fd, TUNSETVNETHDRSZ, &headerBytes) < 0)) {
    const int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

// tapOpen(name, flags): { id, name, flush } or a negative errno.
napi_value TapOpen(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  void* data = nullptr;
  napi_get_cb_info(env, info, &argc, argv, nullptr, &data);
  auto* table = static_cast<std::shared_ptr<TapTable>*>(data);
  std::string name;
  int64_t flags = 0;
  if (!GetString(env, argv[0], "the interface name", IFNAMSIZ - 1, &name) ||
      !GetInteger(env, argv[1], "flags", 0, 0xffff, &flags)) {
    return nullptr;
  }
  if ((flags & ~kAllowedFlags) != 0) return ThrowRange(env, "ERR_OUT_OF_RANGE", "flags has bits that a TAP does not know");
  ifreq request;
  const int fd = OpenTap(name, static_cast<int>(flags), &request);
  if (fd < 0) return Int(env, fd);
  Tap* tap = (*table)->Add(env, fd);
  if (tap == nullptr) {
    close(fd);
    return Int(env, -EMFILE);
  }
  napi_value object = nullptr;
  napi_create_object(env, &object);
  Set(env, object, "id", Int(env, tap->id));
  request.ifr_name[IFNAMSIZ - 1] = '\0';
  Set(env, object, "name", String(env, request.ifr_name));
  napi_value flush = MakeFlush(env, tap->tx);
  if (flush != nullptr) {
    Set(env, object, "flush", flush);
    // Who keeps only the function keeps the device open too.
    Set(env, flush, "device", object);
  }
  auto* owner = new Owner{*table, tap->id};
  const auto finalize = [](napi_env, void* pointer, void*) {
    auto* dropped = static_cast<Owner*>(pointer);
    dropped->table->Close(dropped->id);
    delete dropped;
  };
  if (flush == nullptr || napi_wrap(env, object, owner, finalize, nullptr, nullptr) != napi_ok ||
      napi_create_reference(env, object, 0, &tap->owner) != napi_ok) {
    (*table)->Close(tap->id);
    return ThrowType(env, "ERR_INTERNAL", "the device object could not be made");
  }
  return object;
}

napi_value TapClose(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  TapTable* table = Arguments(env, info, &argc, argv);
  int64_t id = 0;
  if (!GetInteger(env, argv[0], "the device id", INT32_MIN, INT32_MAX, &id)) return nullptr;
  table->Close(static_cast<int32_t>(id));
  return nullptr;
}

napi_value TapIsOpen(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  TapTable* table = Arguments(env, info, &argc, argv);
  int64_t id = 0;
  if (!GetInteger(env, argv[0], "the device id", INT32_MIN, INT32_MAX, &id)) return nullptr;
  napi_value result = nullptr;
  napi_get_boolean(env, table->Find(static_cast<int32_t>(id)) != nullptr, &result);
  return result;
}

// The shared body of the setters whose ioctl takes its number by value.
template <unsigned long kRequest>
napi_value SetByValue(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  TapTable* table = Arguments(env, info, &argc, argv);
  Tap* tap = FindTap(env, table, argv[0]);
  int64_t value = 0;
  if (tap == nullptr || !GetInteger(env, argv[1], "the value", 0, UINT32_MAX, &value)) return nullptr;
  return Int(env, ioctl(tap->fd, kRequest, static_cast<unsigned long>(value)) < 0 ? -errno : 0);
}

napi_value TapSetPersist(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  TapTable* table = Arguments(env, info, &argc, argv);
  Tap* tap = FindTap(env, table, argv[0]);
  bool on = false;
  if (tap == nullptr || !GetBool(env, argv[1], "persist", &on)) return nullptr;
  return Int(env, ioctl(tap->fd, TUNSETPERSIST, on ? 1UL : 0UL) < 0 ? -errno : 0);
}

napi_value TapSetCarrier(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  TapTable* table = Arguments(env, info, &argc, argv);
  Tap* tap = FindTap(env, table, argv[0]);
  bool on = false;
  if (tap == nullptr || !GetBool(env, argv[1], "carrier", &on)) return nullptr;
  int value = on ? 1 : 0;
  return Int(env, ioctl(tap->fd, TUNSETCARRIER, &value) < 0 ? -errno : 0);
}

// tapFlags(id): the interface's IFF_* TUN flags as the kernel has them, or a negative errno.
napi_value TapFlags(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  TapTable* table = Arguments(env, info, &argc, argv);
  Tap* tap = FindTap(env, table, argv[0]);
  if (tap == nullptr) return nullptr;
  ifreq request;
  memset(&request, 0, sizeof request);
  if (ioctl(tap->fd, TUNGETIFF, &request) < 0) return Int(env, -errno);
  return Int(env, static_cast<uint16_t>(request.ifr_flags));
}

}  // namespace

void RxMemory::Release() {
  slotPin.Release();
  lengthPin.Release();
  slots = nullptr;
  lengths = nullptr;
  maxFrames = 0;
}

Tap::~Tap() {
  StopPolling(this);
  tx->Close();
  rx.Release();
  if (owner != nullptr) napi_delete_reference(env, owner);
  if (fd >= 0) close(fd);
}

Tap* TapTable::Add(napi_env env, int fd) {
  uint32_t slot = 0;
  while (slot < taps_.size() && taps_[slot] != nullptr) slot++;
  if (slot > kSlotMask) return nullptr;
  if (slot == taps_.size()) {
    taps_.emplace_back();
    generations_.push_back(0);
  }
  generations_[slot] = (generations_[slot] + 1) & kGenerationMask;
  auto tap = std::make_unique<Tap>();
  tap->env = env;
  tap->fd = fd;
  tap->tx->fd = fd;
  tap->id = static_cast<int32_t>(generations_[slot] << kSlotBits | slot);
  taps_[slot] = std::move(tap);
  return taps_[slot].get();
}

void TapTable::Close(int32_t id) {
  if (Find(id) != nullptr) taps_[static_cast<uint32_t>(id) & kSlotMask].reset();
}

void TapTable::CloseAll() {
  for (auto& tap : taps_) tap.reset();
}

TapTable* Arguments(napi_env env, napi_callback_info info, size_t* argc, napi_value* argv) {
  void* data = nullptr;
  napi_get_cb_info(env, info, argc, argv, nullptr, &data);
  return static_cast<TapTable*>(data);
}

Tap* FindTap(napi_env env, TapTable* table, napi_value id) {
  int32_t number = 0;
  if (napi_get_value_int32(env, id, &number) != napi_ok) {
    ThrowType(env, "ERR_INVALID_ARG_TYPE", "the device id must be a number");
    return nullptr;
  }
  Tap* tap = table->Find(number);
  if (tap == nullptr) ThrowType(env, "ERR_TAP_CLOSED", "the TAP device is closed");
  return tap;
}

void DefineFunction(napi_env env, napi_value exports, const char* name, napi_callback callback, void* data) {
  napi_value function = nullptr;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, data, &function);
  Set(env, exports, name, function);
}

void DefineTap(napi_env env, napi_value exports, std::shared_ptr<TapTable>* table) {
  DefineFunction(env, exports, "tapOpen", TapOpen, table);
  TapTable* raw = table->get();
  DefineFunction(env, exports, "tapClose", TapClose, raw);
  DefineFunction(env, exports, "tapIsOpen", TapIsOpen, raw);
  DefineFunction(env, exports, "tapFlags", TapFlags, raw);
  DefineFunction(env, exports, "tapSetPersist", TapSetPersist, raw);
  DefineFunction(env, exports, "tapSetCarrier", TapSetCarrier, raw);
  DefineFunction(env, exports, "tapSetOwner", SetByValue<TUNSETOWNER>, raw);
  DefineFunction(env, exports, "tapSetGroup", SetByValue<TUNSETGROUP>, raw);
  DefineFunction(env, exports, "tapSetOffload", SetByValue<TUNSETOFFLOAD>, raw);
}

}  // namespace udptap
