/* A program whose descriptor tables are copied while other threads change them. tables.rs runs it; argv[1] says how, a file is
 * made at argv[2] when everything is still. Exits with 2 where a call fails that must not. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHURNERS 3
#define HELD 8

static int over;

static void must(int done, const char *what) {
  if (!done) {
    perror(what);
    _exit(2);
  }
}

static uint32_t next(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

/* Opens, copies, replaces, marks and closes descriptors that no other thread touches. */
static void *churn(void *number) {
  uint32_t seed = (uint32_t)(uintptr_t)number * 77u + (uint32_t)getpid();
  int base = 100 + 20 * (int)(uintptr_t)number, held[HELD], count = 0;
  while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
    if (count == HELD || (count > 0 && next(&seed) % 3 == 0)) {
      int at = (int)(next(&seed) % (uint32_t)count);
      close(held[at]);
      held[at] = held[--count];
      continue;
    }
    int flag = next(&seed) % 2 ? O_CLOEXEC : 0, fd = -1, pair[2];
    switch (next(&seed) % 6) {
    case 0:
      fd = open("/dev/null", O_RDONLY | flag);
      break;
    case 1:
      fd = socket(AF_INET, SOCK_STREAM | (flag ? SOCK_CLOEXEC : 0), 0);
      break;
    case 2:
      fd = dup(0);
      break;
    case 3:
      must(dup3(0, base + (int)(next(&seed) % 20), flag) >= 0, "dup3");
      break;
    case 4:
      must(pipe2(pair, flag) == 0, "pipe2");
      close(pair[1]);
      fd = pair[0];
      break;
    case 5:
      if (count > 0)
        fcntl(held[next(&seed) % (uint32_t)count], F_SETFD, flag ? FD_CLOEXEC : 0);
      break;
    }
    if (fd >= 0)
      held[count++] = fd;
  }
  return NULL;
}

static void start(pthread_t *threads) {
  for (uintptr_t number = 0; number < CHURNERS; number++)
    must(pthread_create(&threads[number], NULL, churn, (void *)number) == 0, "pthread_create");
}

static void still(const char *path) {
  int fd = open(path, O_CREAT | O_WRONLY, 0600);
  must(fd >= 0 && close(fd) == 0, path);
  for (;;)
    pause();
}

static void forks(int count) {
  pthread_t threads[CHURNERS];
  start(threads);
  for (int child = 0; child < count; child++) {
    pid_t pid = fork();
    must(pid >= 0, "fork");
    while (pid == 0)
      pause();
    usleep(500);
  }
  over = 1;
  for (int number = 0; number < CHURNERS; number++)
    pthread_join(threads[number], NULL);
}

static void *execs_itself(void *where) {
  char text[16];
  snprintf(text, sizeof text, "%d", (int)(intptr_t)where);
  usleep((useconds_t)(getpid() % 700));
  execl("/proc/self/exe", "tables", "arrived", text, NULL);
  must(0, "execl");
  return NULL;
}

/* Every child replaces itself from a thread that is not its leader, among others that are at work; every second one shares its
 * table with its parent. */
static int shares(void *where) {
  execs_itself(where);
  return 2;
}

static void execs(int count) {
  int where = eventfd(0, 0);
  static char stacks[64][65536];
  must(where >= 0, "eventfd");
  for (int child = 0; child < count; child++) {
    if (child % 2 && child < 64) {
      must(clone(shares, stacks[child] + sizeof stacks[child], CLONE_FILES | SIGCHLD, (void *)(intptr_t)where) > 0, "clone");
      continue;
    }
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
      pthread_t threads[CHURNERS], last;
      start(threads);
      must(pthread_create(&last, NULL, execs_itself, (void *)(intptr_t)where) == 0, "pthread_create");
      for (;;)
        pause();
    }
  }
  for (uint64_t all = 0, some; all < (uint64_t)count; all += some)
    must(read(where, &some, sizeof some) == sizeof some, "read");
}

static int own_count;

static void arrive(void) {
  __atomic_add_fetch(&own_count, 1, __ATOMIC_SEQ_CST);
}

static void *unshares(void *unused) {
  must(unshare(CLONE_FILES) == 0, "unshare");
  must(open("/dev/zero", O_RDONLY) >= 0, "open");
  arrive();
  for (;;)
    pause();
  return unused;
}

static void *sweeps(void *unused) {
  must(syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_UNSHARE) == 0, "close_range");
  must(open("/dev/full", O_RDONLY) == 3, "open");
  arrive();
  for (;;)
    pause();
  return unused;
}

/* A thread that had a table of its own and is gone. */
static void *leaves(void *unused) {
  must(unshare(CLONE_FILES) == 0, "unshare");
  must(open("/dev/zero", O_RDONLY) >= 0, "open");
  return unused;
}

static int waits(void) {
  for (;;)
    pause();
  return 0;
}

static int begins_apart(void *unused) {
  (void)unused;
  close(0);
  arrive();
  return waits();
}

static int shares_files(void *unused) {
  (void)unused;
  return waits();
}

static void threads_of_their_own(void) {
  pthread_t threads[CHURNERS], other;
  static char stacks[2][65536];
  start(threads);
  usleep(2000);
  for (int turn = 0; turn < 5; turn++) {
    must(pthread_create(&other, NULL, unshares, NULL) == 0, "pthread_create");
    must(pthread_create(&other, NULL, sweeps, NULL) == 0, "pthread_create");
    must(pthread_create(&other, NULL, leaves, NULL) == 0, "pthread_create");
    must(pthread_join(other, NULL) == 0, "pthread_join");
  }
  int flags = CLONE_VM | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  must(clone(begins_apart, stacks[0] + sizeof stacks[0], flags, NULL) > 0, "clone");
  /* A process that shares this one's table. */
  must(clone(shares_files, stacks[1] + sizeof stacks[1], CLONE_FILES | SIGCHLD, NULL) > 0, "clone");
  while (__atomic_load_n(&own_count, __ATOMIC_SEQ_CST) < 11)
    usleep(1000);
  over = 1;
  for (int number = 0; number < CHURNERS; number++)
    pthread_join(threads[number], NULL);
}

#define TAKING_TURNS 3
#define TURNS 999

static int turn, passed_on = -1;

/* In its turn, on its CPU, closes what the one before it made and makes another. */
static void *takes_turns(void *number) {
  int own = (int)(intptr_t)number;
  cpu_set_t all, one;
  CPU_ZERO(&one);
  must(sched_getaffinity(0, sizeof all, &all) == 0, "sched_getaffinity");
  for (int cpu = 0, left = own % CPU_COUNT(&all); cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &all) && left-- == 0)
      CPU_SET(cpu, &one);
  must(sched_setaffinity(0, sizeof one, &one) == 0, "sched_setaffinity");
  for (int now; (now = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) < TURNS;) {
    if (now % TAKING_TURNS != own) {
      sched_yield();
      continue;
    }
    if (passed_on >= 0)
      close(passed_on);
    passed_on = dup(0);
    __atomic_store_n(&turn, now + 1, __ATOMIC_RELEASE);
  }
  return NULL;
}

static void take_turns(void) {
  pthread_t threads[TAKING_TURNS];
  for (intptr_t number = 0; number < TAKING_TURNS; number++)
    must(pthread_create(&threads[number], NULL, takes_turns, (void *)number) == 0, "pthread_create");
  for (int number = 0; number < TAKING_TURNS; number++)
    pthread_join(threads[number], NULL);
}

/* Changes a table that a child shares, in step with lines of input: says the child's number, the number of a descriptor that it
 * opened, and that it closed it. */
static int changes_a_childs_table(void) {
  static char stack[65536], line[16];
  printf("%d\n", clone(shares_files, stack + sizeof stack, CLONE_FILES | SIGCHLD, NULL));
  fflush(stdout);
  must(read(0, line, sizeof line) > 0, "read");
  int fd = open("/dev/zero", O_RDONLY);
  printf("%d\n", fd);
  fflush(stdout);
  must(read(0, line, sizeof line) > 0, "read");
  close(fd);
  return waits();
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "arrived") == 0) {
    uint64_t one = 1;
    must(write(atoi(argv[2]), &one, sizeof one) == sizeof one, "write");
    for (;;)
      pause();
  }
  if (argc == 2 && strcmp(argv[1], "shares") == 0)
    return changes_a_childs_table();
  must(argc == 4, "arguments");
  int count = atoi(argv[3]);
  if (strcmp(argv[1], "forks") == 0)
    forks(count);
  else if (strcmp(argv[1], "execs") == 0)
    execs(count);
  else if (strcmp(argv[1], "turns") == 0)
    take_turns();
  else
    threads_of_their_own();
  still(argv[2]);
}
