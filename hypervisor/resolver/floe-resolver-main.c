/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-resolve.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 32

void
floe_resolve_watch (FloeResolve *resolve, int fd, uint32_t events, FloeWatch watch, unsigned index)
{
  struct epoll_event event = { .events = events, .data.u64 = (uint64_t)watch << 32 | index };

  if (epoll_ctl (resolve->epoll, EPOLL_CTL_MOD, fd, &event) < 0)
    (void)epoll_ctl (resolve->epoll, EPOLL_CTL_ADD, fd, &event);
}

void
floe_resolve_unwatch (FloeResolve *resolve, int fd)
{
  (void)epoll_ctl (resolve->epoll, EPOLL_CTL_DEL, fd, NULL);
}

void
floe_resolve_random (void *bytes, size_t size)
{
  /* At most 256 bytes come whole, RFC-less but getrandom(2) says so; and before the pool is ready it waits. */
  while (syscall (SYS_getrandom, bytes, size, 0) != (long)size)
    continue;
}

bool
floe_bucket_take (FloeBucket *bucket, unsigned rate, int64_t now)
{
  int64_t passed = now - bucket->filled < 1000 ? now - bucket->filled : 1000;

  if (bucket->milli + (uint64_t)passed * rate >= (uint64_t)rate * 1000)
    bucket->milli = rate * 1000;
  else
    bucket->milli += (unsigned)passed * rate;
  bucket->filled = now;
  if (bucket->milli < 1000)
    return false;
  bucket->milli -= 1000;
  return true;
}

static int64_t
now_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* FALSE: the end. */
static bool
dispatch (FloeResolve *resolve, const struct epoll_event *event)
{
  unsigned index = (unsigned)(event->data.u64 & UINT32_MAX);

  switch ((FloeWatch)(event->data.u64 >> 32)) {
  case FLOE_WATCH_CONTROL:
    return (event->events & EPOLLIN) != 0 && floe_resolve_on_control (resolve);
  case FLOE_WATCH_LISTENER:
    floe_resolve_on_listener (resolve, index);
    break;
  case FLOE_WATCH_LEASE:
    floe_resolve_on_lease (resolve);
    break;
  case FLOE_WATCH_CLIENT:
    floe_resolve_on_client (resolve, index, event->events);
    break;
  case FLOE_WATCH_UDP:
    floe_resolve_on_udp (resolve, index);
    break;
  case FLOE_WATCH_TCP:
    floe_resolve_on_tcp (resolve, index, event->events);
    break;
  }
  return true;
}

/* How long nothing can become due: questions' and connections' deadlines are kept to a tenth of a second. */
static int
patience (const FloeResolve *resolve)
{
  if (resolve->paused)
    return FLOE_RESOLVE_PAUSE_MS;
  for (size_t i = 0; i < FLOE_RESOLVE_QUESTIONS; i++)
    if (resolve->questions[i].state != FLOE_QUESTION_FREE)
      return 100;
  for (size_t i = 0; i < FLOE_RESOLVE_CLIENTS; i++)
    if (resolve->clients[i].fd >= 0)
      return 100;
  return -1;
}

static void
run (FloeResolve *resolve)
{
  struct epoll_event events[EVENTS];

  for (;;) {
    int n = epoll_wait (resolve->epoll, events, EVENTS, patience (resolve));

    resolve->now = now_ms ();
    for (int i = 0; i < n; i++)
      if (!dispatch (resolve, &events[i]))
        return;
    floe_resolve_questions_tick (resolve);
    floe_resolve_clients_tick (resolve);
  }
}

/* Started by hypervisord with its end of a socket pair as descriptor 3; everything else comes over that. */
int
main (void)
{
  /* Zero pages until they are used. */
  static FloeResolve resolve;

  resolve.epoll = epoll_create1 (EPOLL_CLOEXEC);
  resolve.lease = -1;
  for (size_t i = 0; i < 4; i++)
    resolve.listeners[i] = -1;
  for (size_t i = 0; i < FLOE_RESOLVE_CLIENTS; i++)
    resolve.clients[i].fd = -1;
  resolve.now = now_ms ();
  floe_resolve_watch (&resolve, FLOE_RESOLVER_CONTROL_FD, EPOLLIN, FLOE_WATCH_CONTROL, 0);
  run (&resolve);
  /* Seen by hypervisord if it is there: then it was a message that we do not understand. */
  return 1;
}
