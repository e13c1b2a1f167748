// The addon's entry: one table of devices for each environment that loads it, the main thread's and every worker's.
#include "tap.h"

namespace {

using Table = std::shared_ptr<udptap::TapTable>;

// Raised with every change of the functions below, so that a stale build is told from a broken one.
constexpr int64_t kInterfaceVersion = 1;

// Runs before the environment goes: devices close while their references can still be given back.
void CloseDevices(void* data) { (*static_cast<Table*>(data))->CloseAll(); }

void DropTable(napi_env, void* data, void*) { delete static_cast<Table*>(data); }

}  // namespace

NAPI_MODULE_INIT() {
  auto* table = new Table(std::make_shared<udptap::TapTable>());
  if (napi_set_instance_data(env, table, DropTable, nullptr) != napi_ok) {
    delete table;
    return nullptr;
  }
  napi_add_env_cleanup_hook(env, CloseDevices, table);
  udptap::Set(env, exports, "interfaceVersion", udptap::Int(env, kInterfaceVersion));
  udptap::DefineTap(env, exports, table);
  udptap::DefineTapTx(env, exports, table->get());
  udptap::DefineTapRx(env, exports, table->get());
  udptap::DefineHost(env, exports);
  return exports;
}
