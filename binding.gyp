{
  "targets": [
    {
      "target_name": "udptap",
      "sources": [
        "native/module.cc",
        "native/napi_util.cc",
        "native/tap.cc",
        "native/tap_tx.cc",
        "native/tap_rx.cc",
        "native/host.cc"
      ],
      "cflags!": ["-O2", "-fno-omit-frame-pointer"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
      "cflags": ["-O3", "-Wall", "-Wextra", "-Wshadow", "-fvisibility=hidden"],
      "cflags_cc": ["-std=c++17", "-fno-rtti", "-fno-exceptions"],
      "ldflags": ["-Wl,-z,relro,-z,now"]
    }
  ]
}
