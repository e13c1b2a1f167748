// The kernel's own udp_sendmsg, as a C program uses it.
//
// usage: kernel_send sendto|send|sendmmsg|segment ADDRESS PORT PAYLOAD_BYTES
//   A frame is a datagram; with "segment" it is one segment of a UDP_SEGMENT send of up to 64 of them.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "rounds.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { BATCH = 64, MAX_DATAGRAM = 65507 };

static int fd;
static uint8_t payload[MAX_DATAGRAM];
static size_t payload_bytes;
static struct sockaddr_in to;
static struct mmsghdr messages[BATCH];
static struct iovec iov;
static size_t segments;

// A full transmit queue is not the program's fault: the datagram counts as sent, as the kernel's callers count it.
static void sent(ssize_t result, const char *what) {
  if (result < 0 && errno != ENOBUFS) fail(what);
}

static void run_sendto(uint64_t frames) {
  for (uint64_t i = 0; i < frames; i++) {
    sent(sendto(fd, payload, payload_bytes, 0, (struct sockaddr *)&to, sizeof to), "sendto");
  }
}

static void run_send(uint64_t frames) {
  for (uint64_t i = 0; i < frames; i++) sent(send(fd, payload, payload_bytes, 0), "send");
}

static void run_sendmmsg(uint64_t frames) {
  for (uint64_t i = 0; i < frames; i += BATCH) sent(sendmmsg(fd, messages, BATCH, 0), "sendmmsg");
}

static void run_segment(uint64_t frames) {
  for (uint64_t i = 0; i < frames; i += segments) sent(send(fd, payload, segments * payload_bytes, 0), "send");
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: kernel_send sendto|send|sendmmsg|segment ADDRESS PORT PAYLOAD_BYTES\n");
    return 2;
  }
  const char *mode = argv[1];
  to.sin_family = AF_INET;
  to.sin_port = htons((uint16_t)atoi(argv[3]));
  payload_bytes = strtoul(argv[4], NULL, 10);
  if (inet_pton(AF_INET, argv[2], &to.sin_addr) != 1 || payload_bytes < 1 || payload_bytes > MAX_DATAGRAM) return 2;
  fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) fail("socket");
  if (strcmp(mode, "sendto") == 0) return rounds(run_sendto);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) fail("connect");
  if (strcmp(mode, "send") == 0) return rounds(run_send);
  if (strcmp(mode, "sendmmsg") == 0) {
    iov.iov_base = payload;
    iov.iov_len = payload_bytes;
    for (int i = 0; i < BATCH; i++) {
      messages[i].msg_hdr.msg_iov = &iov;
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    return rounds(run_sendmmsg);
  }
  if (strcmp(mode, "segment") == 0) {
    const int size = (int)payload_bytes;
    if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size) < 0) fail("UDP_SEGMENT");
    segments = MAX_DATAGRAM / payload_bytes;
    if (segments > BATCH) segments = BATCH;
    return rounds(run_segment);
  }
  return 2;
}
