#include "napi_util.h"

#include <cmath>

namespace udptap {

namespace {

bool Pending(napi_env env) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  return pending;
}

napi_valuetype TypeOf(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  if (value != nullptr) napi_typeof(env, value, &type);
  return type;
}

size_t ElementSize(napi_typedarray_type type) {
  switch (type) {
    case napi_int16_array:
    case napi_uint16_array:
      return 2;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      return 4;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      return 8;
    default:
      return 1;
  }
}

}  // namespace

napi_value ThrowType(napi_env env, const char* code, const char* message) {
  if (!Pending(env)) napi_throw_type_error(env, code, message);
  return nullptr;
}

napi_value ThrowRange(napi_env env, const char* code, const char* message) {
  if (!Pending(env)) napi_throw_range_error(env, code, message);
  return nullptr;
}

bool GetInteger(napi_env env, napi_value value, const char* what, int64_t min, int64_t max, int64_t* out) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) != napi_ok) {
    ThrowType(env, "ERR_INVALID_ARG_TYPE", (std::string(what) + " must be a number").c_str());
    return false;
  }
  // The comparison is false for NaN, so NaN is refused too.
  if (!(number >= static_cast<double>(min) && number <= static_cast<double>(max)) || std::trunc(number) != number) {
    ThrowRange(env, "ERR_OUT_OF_RANGE",
               (std::string(what) + " must be an integer from " + std::to_string(min) + " to " + std::to_string(max))
                   .c_str());
    return false;
  }
  *out = static_cast<int64_t>(number);
  return true;
}

bool GetBool(napi_env env, napi_value value, const char* what, bool* out) {
  if (napi_get_value_bool(env, value, out) == napi_ok) return true;
  ThrowType(env, "ERR_INVALID_ARG_TYPE", (std::string(what) + " must be a boolean").c_str());
  return false;
}

bool GetString(napi_env env, napi_value value, const char* what, size_t maxLength, std::string* out) {
  size_t length = 0;
  if (TypeOf(env, value) != napi_string || napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) {
    ThrowType(env, "ERR_INVALID_ARG_TYPE", (std::string(what) + " must be a string").c_str());
    return false;
  }
  if (length > maxLength) {
    ThrowRange(env, "ERR_OUT_OF_RANGE",
               (std::string(what) + " must be at most " + std::to_string(maxLength) + " bytes long").c_str());
    return false;
  }
  out->resize(length + 1);
  napi_get_value_string_utf8(env, value, out->data(), length + 1, &length);
  out->resize(length);
  if (out->find('\0') != std::string::npos) {
    ThrowType(env, "ERR_INVALID_ARG_VALUE", (std::string(what) + " must not contain a NUL byte").c_str());
    return false;
  }
  return true;
}

bool GetFunction(napi_env env, napi_value value, const char* what) {
  if (TypeOf(env, value) == napi_function) return true;
  ThrowType(env, "ERR_INVALID_ARG_TYPE", (std::string(what) + " must be a function").c_str());
  return false;
}

napi_value Int(napi_env env, int64_t value) {
  napi_value result = nullptr;
  napi_create_int64(env, value, &result);
  return result;
}

napi_value BigInt(napi_env env, uint64_t value) {
  napi_value result = nullptr;
  napi_create_bigint_uint64(env, value, &result);
  return result;
}

napi_value String(napi_env env, const char* value) {
  napi_value result = nullptr;
  napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &result);
  return result;
}

napi_value Undefined(napi_env env) {
  napi_value result = nullptr;
  napi_get_undefined(env, &result);
  return result;
}

void Set(napi_env env, napi_value object, const char* name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

bool ReadBytes(napi_env env, napi_value value, Bytes* out) {
  bool is = false;
  void* data = nullptr;
  if (napi_is_typedarray(env, value, &is) == napi_ok && is) {
    size_t length = 0;
    if (napi_get_typedarray_info(env, value, &out->type, &length, &data, &out->buffer, nullptr) != napi_ok) {
      return false;
    }
    out->lengthBytes = length * ElementSize(out->type);
  } else if (napi_is_arraybuffer(env, value, &is) == napi_ok && is) {
    out->buffer = value;
    if (napi_get_arraybuffer_info(env, value, &data, &out->lengthBytes) != napi_ok) return false;
  } else if (napi_is_dataview(env, value, &is) == napi_ok && is) {
    if (napi_get_dataview_info(env, value, &out->lengthBytes, &data, &out->buffer, nullptr) != napi_ok) return false;
  } else {
    return false;
  }
  out->data = static_cast<uint8_t*>(data);
  return true;
}

bool PinnedBuffer::Pin(napi_env env, const Bytes& bytes, const char* what) {
  const std::string name(what);
  bool isArrayBuffer = false;
  if (napi_is_arraybuffer(env, bytes.buffer, &isArrayBuffer) != napi_ok || !isArrayBuffer) {
    ThrowType(env, "ERR_INVALID_ARG_TYPE", (name + " must not be shared memory").c_str());
    return false;
  }
  bool detached = true;
  if (napi_is_detached_arraybuffer(env, bytes.buffer, &detached) != napi_ok || detached) {
    ThrowType(env, "ERR_INVALID_STATE", (name + " has given its memory away").c_str());
    return false;
  }
  // Shrinking unmaps memory without detaching, which no later check would notice.
  napi_value property = nullptr;
  bool resizable = false;
  if (napi_get_named_property(env, bytes.buffer, "resizable", &property) != napi_ok) return false;
  if (TypeOf(env, property) == napi_boolean) napi_get_value_bool(env, property, &resizable);
  if (resizable) {
    ThrowType(env, "ERR_INVALID_ARG_TYPE", (name + " must not be resizable").c_str());
    return false;
  }
  napi_ref ref = nullptr;
  if (napi_create_reference(env, bytes.buffer, 1, &ref) != napi_ok) return false;
  Release();
  env_ = env;
  ref_ = ref;
  return true;
}

void PinnedBuffer::Release() {
  if (ref_ != nullptr) napi_delete_reference(env_, ref_);
  ref_ = nullptr;
}

}  // namespace udptap
