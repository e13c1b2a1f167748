/*
 * Preloaded into linux.uml. A User Mode Linux of 6.1 keeps 2.6 KB of a process's vector registers; a host whose processor has more
 * (AMX) refuses to set fewer than all, and the boot ends in a panic. What the kernel does not know is left as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

static char area[65536] __attribute__((aligned(64)));

long ptrace(enum __ptrace_request request, ...) {
  static long (*next)(int, ...);
  va_list args;
  va_start(args, request);
  pid_t pid = va_arg(args, pid_t);
  void *addr = va_arg(args, void *);
  void *data = va_arg(args, void *);
  va_end(args);
  if (!next) next = (long (*)(int, ...))dlsym(RTLD_NEXT, "ptrace");
  if (request == PTRACE_SETREGSET && (long)addr == NT_X86_XSTATE) {
    struct iovec *given = data, whole = {area, sizeof area};
    if (next(PTRACE_GETREGSET, pid, addr, &whole) == 0 && whole.iov_len > given->iov_len) {
      memcpy(area, given->iov_base, given->iov_len);
      return next(request, pid, addr, &whole);
    }
  }
  return next(request, pid, addr, data);
}
