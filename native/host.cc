// System calls on the host's own kernel, with raw memory: every bad pointer and length reaches the kernel, which answers
// EFAULT. Credentials and namespaces change for the calling thread only.
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>

#include "tap.h"

namespace udptap {

namespace {

struct SystemCall {
  const char* name;
  long number;
};

// What may be called: sockets, descriptors, credentials. Nothing that maps, frees or runs memory, so that a wrong number
// cannot end the process.
constexpr SystemCall kSystemCalls[] = {
    {"socket", SYS_socket},
    {"socketpair", SYS_socketpair},
    {"bind", SYS_bind},
    {"connect", SYS_connect},
    {"listen", SYS_listen},
    {"sendto", SYS_sendto},
    {"sendmsg", SYS_sendmsg},
    {"sendmmsg", SYS_sendmmsg},
    {"recvfrom", SYS_recvfrom},
    {"recvmsg", SYS_recvmsg},
    {"recvmmsg", SYS_recvmmsg},
    {"setsockopt", SYS_setsockopt},
    {"getsockopt", SYS_getsockopt},
    {"getsockname", SYS_getsockname},
    {"getpeername", SYS_getpeername},
    {"shutdown", SYS_shutdown},
    {"close", SYS_close},
    {"read", SYS_read},
    {"write", SYS_write},
    {"readv", SYS_readv},
    {"writev", SYS_writev},
    {"ioctl", SYS_ioctl},
    {"fcntl", SYS_fcntl},
    {"dup", SYS_dup},
    {"pipe2", SYS_pipe2},
    {"splice", SYS_splice},
    {"sendfile", SYS_sendfile},
    {"ppoll", SYS_ppoll},
    {"nanosleep", SYS_nanosleep},
    {"getpid", SYS_getpid},
    {"gettid", SYS_gettid},
    {"unshare", SYS_unshare},
    {"setns", SYS_setns},
    {"getuid", SYS_getuid},
    {"geteuid", SYS_geteuid},
    {"setresuid", SYS_setresuid},
    {"setresgid", SYS_setresgid},
    {"setgroups", SYS_setgroups},
    {"capget", SYS_capget},
    {"capset", SYS_capset},
};

bool Allowed(long number) {
  for (const SystemCall& call : kSystemCalls) {
    if (call.number == number) return true;
  }
  return false;
}

// A system call's argument: a number, a bigint, the address of a buffer's memory, or 0 for null and undefined.
bool ToArgument(napi_env env, napi_value value, long* out) {
  napi_valuetype type = napi_undefined;
  napi_typeof(env, value, &type);
  if (type == napi_undefined || type == napi_null) {
    *out = 0;
    return true;
  }
  if (type == napi_number) {
    double number = 0;
    napi_get_value_double(env, value, &number);
    if (!(std::fabs(number) <= 9007199254740991.0) || std::trunc(number) != number) {
      ThrowRange(env, "ERR_OUT_OF_RANGE", "a system call's number must be a safe integer");
      return false;
    }
    *out = static_cast<long>(static_cast<int64_t>(number));
    return true;
  }
  if (type == napi_bigint) {
    uint64_t word = 0;
    bool lossless = false;
    napi_get_value_bigint_uint64(env, value, &word, &lossless);
    int64_t negative = 0;
    bool fitsSigned = false;
    napi_get_value_bigint_int64(env, value, &negative, &fitsSigned);
    if (!lossless && !fitsSigned) {
      ThrowRange(env, "ERR_OUT_OF_RANGE", "a system call's bigint must fit 64 bits");
      return false;
    }
    *out = static_cast<long>(word);
    return true;
  }
  Bytes bytes;
  if (!ReadBytes(env, value, &bytes)) {
    ThrowType(env, "ERR_INVALID_ARG_TYPE", "a system call's argument must be a number, a bigint, a buffer or null");
    return false;
  }
  *out = reinterpret_cast<long>(bytes.data);
  return true;
}

long Raw(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  const long result = syscall(number, a, b, c, d, e, f);
  return result == -1 ? -errno : result;
}

// syscall(number, ...up to six arguments): the result, or a negative errno.
napi_value Syscall(napi_env env, napi_callback_info info) {
  size_t argc = 7;
  napi_value argv[7];
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  int64_t number = 0;
  if (!GetInteger(env, argv[0], "the system call's number", 0, INT32_MAX, &number)) return nullptr;
  if (!Allowed(static_cast<long>(number))) {
    return ThrowRange(env, "ERR_OUT_OF_RANGE", "this system call is not offered: see SYS for those that are");
  }
  long a[6];
  for (int i = 0; i < 6; i++) {
    if (!ToArgument(env, argv[i + 1], &a[i])) return nullptr;
  }
  return Int(env, Raw(static_cast<long>(number), a[0], a[1], a[2], a[3], a[4], a[5]));
}

napi_value AddressOf(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  Bytes bytes;
  if (!ReadBytes(env, argv[0], &bytes)) {
    return ThrowType(env, "ERR_INVALID_ARG_TYPE", "addressOf needs an ArrayBuffer or a view of one");
  }
  return BigInt(env, reinterpret_cast<uintptr_t>(bytes.data));
}

napi_value Unshare(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  int64_t flags = 0;
  if (!GetInteger(env, argv[0], "flags", 0, UINT32_MAX, &flags)) return nullptr;
  return Int(env, Raw(SYS_unshare, static_cast<long>(flags)));
}

// setns(path, type): enters the namespace that a file names.
napi_value SetNamespace(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  std::string path;
  int64_t type = 0;
  if (!GetString(env, argv[0], "the namespace's path", 4095, &path) ||
      !GetInteger(env, argv[1], "the namespace's type", 0, UINT32_MAX, &type)) {
    return nullptr;
  }
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Int(env, -errno);
  const long result = Raw(SYS_setns, fd, static_cast<long>(type));
  close(fd);
  return Int(env, result);
}

// dropPrivileges(uid, gid): no groups, these ids, no capabilities. The C library would change every thread; this is
// the calling thread alone.
napi_value DropPrivileges(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  int64_t uid = 0;
  int64_t gid = 0;
  if (!GetInteger(env, argv[0], "the user id", 0, UINT32_MAX, &uid) ||
      !GetInteger(env, argv[1], "the group id", 0, UINT32_MAX, &gid)) {
    return nullptr;
  }
  long result = Raw(SYS_setgroups, 0, 0);
  if (result >= 0) result = Raw(SYS_setresgid, gid, gid, gid);
  if (result >= 0) result = Raw(SYS_setresuid, uid, uid, uid);
  if (result < 0) return Int(env, result);
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  return Int(env, Raw(SYS_capset, reinterpret_cast<long>(&header), reinterpret_cast<long>(none)));
}

napi_value EffectiveUser(napi_env env, napi_callback_info) { return Int(env, Raw(SYS_geteuid)); }

// effectiveCapabilities(): the calling thread's mask, bit n is capability n.
napi_value EffectiveCapabilities(napi_env env, napi_callback_info) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (Raw(SYS_capget, reinterpret_cast<long>(&header), reinterpret_cast<long>(data)) < 0) return BigInt(env, 0);
  return BigInt(env, static_cast<uint64_t>(data[1].effective) << 32 | data[0].effective);
}

napi_value Uname(napi_env env, napi_callback_info) {
  utsname names;
  memset(&names, 0, sizeof names);
  uname(&names);
  napi_value object = nullptr;
  napi_create_object(env, &object);
  Set(env, object, "sysname", String(env, names.sysname));
  Set(env, object, "nodename", String(env, names.nodename));
  Set(env, object, "release", String(env, names.release));
  Set(env, object, "version", String(env, names.version));
  Set(env, object, "machine", String(env, names.machine));
  return object;
}

// ifNameToIndex(name): the interface's index in the calling thread's namespace, or a negative errno.
napi_value IfNameToIndex(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  std::string name;
  if (!GetString(env, argv[0], "the interface name", IFNAMSIZ - 1, &name)) return nullptr;
  const unsigned index = if_nametoindex(name.c_str());
  return Int(env, index == 0 ? -static_cast<int64_t>(errno) : index);
}

}  // namespace

void DefineHost(napi_env env, napi_value exports) {
  napi_value numbers = nullptr;
  napi_create_object(env, &numbers);
  for (const SystemCall& call : kSystemCalls) Set(env, numbers, call.name, Int(env, call.number));
  napi_object_freeze(env, numbers);
  Set(env, exports, "SYS", numbers);
  DefineFunction(env, exports, "syscall", Syscall, nullptr);
  DefineFunction(env, exports, "addressOf", AddressOf, nullptr);
  DefineFunction(env, exports, "unshare", Unshare, nullptr);
  DefineFunction(env, exports, "setns", SetNamespace, nullptr);
  DefineFunction(env, exports, "dropPrivileges", DropPrivileges, nullptr);
  DefineFunction(env, exports, "geteuid", EffectiveUser, nullptr);
  DefineFunction(env, exports, "effectiveCapabilities", EffectiveCapabilities, nullptr);
  DefineFunction(env, exports, "uname", Uname, nullptr);
  DefineFunction(env, exports, "ifNameToIndex", IfNameToIndex, nullptr);
}

}  // namespace udptap
