// Small helpers over the C Node-API: argument checks that throw (TypeError, RangeError), never crash.
#pragma once

#define NAPI_VERSION 8
#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace udptap {

// Throws unless an exception is already pending, so that the first cause is the one that the caller sees.
napi_value ThrowType(napi_env env, const char* code, const char* message);
napi_value ThrowRange(napi_env env, const char* code, const char* message);

// Each getter returns false with an exception pending when the value is not what it asks for.
bool GetInteger(napi_env env, napi_value value, const char* what, int64_t min, int64_t max, int64_t* out);
bool GetBool(napi_env env, napi_value value, const char* what, bool* out);
// Refuses embedded NUL bytes and more than maxLength bytes.
bool GetString(napi_env env, napi_value value, const char* what, size_t maxLength, std::string* out);
bool GetFunction(napi_env env, napi_value value, const char* what);

napi_value Int(napi_env env, int64_t value);
napi_value BigInt(napi_env env, uint64_t value);
napi_value String(napi_env env, const char* value);
napi_value Undefined(napi_env env);
void Set(napi_env env, napi_value object, const char* name, napi_value value);

// The memory of an ArrayBuffer or of any view of one.
struct Bytes {
  napi_value buffer = nullptr;  // the ArrayBuffer itself
  uint8_t* data = nullptr;
  size_t lengthBytes = 0;
  napi_typedarray_type type = napi_uint8_array;
};

// False, without an exception, when the value is neither an ArrayBuffer nor a view.
bool ReadBytes(napi_env env, napi_value value, Bytes* out);

// A registered buffer: its address is kept between calls, so the buffer is kept alive, and each use asks Alive() first
// (a WebAssembly.Memory that grew, or a buffer that was transferred to a worker, has given its memory away).
class PinnedBuffer {
 public:
  // Throws and returns false for shared, resizable, detached or foreign values.
  bool Pin(napi_env env, const Bytes& bytes, const char* what);
  void Release();
  bool Pinned() const { return ref_ != nullptr; }

  bool Alive() const {
    napi_value buffer;
    bool detached = true;
    return napi_get_reference_value(env_, ref_, &buffer) == napi_ok && buffer != nullptr &&
           napi_is_detached_arraybuffer(env_, buffer, &detached) == napi_ok && !detached;
  }

 private:
  napi_env env_ = nullptr;
  napi_ref ref_ = nullptr;
};

}  // namespace udptap
