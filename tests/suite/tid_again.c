/* A thread ends, and a later thread gets its number (`set_tid` of clone3(2)) and accepts, too. The former ends inside accept(2): the
 * later one is in the same process after execve(2) (`exec`), or in another one after _exit(2) (`group`). Or it ends by itself, after
 * it has slept and accepted, and the later one is in the same process (`thread`). pid_again.rs runs it: argv[1] says which, argv[2]
 * gets what was done, and from argv[3], a fifo, it learns when to go on. Exits with 2 where a call fails that must not. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char stack[1 << 16] __attribute__((aligned(16)));
static int listener;
static int made[2];
static int runs;

static void must(int done, const char *what) {
  if (!done) {
    perror(what);
    _exit(2);
  }
}

/* Runs `what` in a thread of that number; 0: of any. Returns its number. */
static int spawn(void (*what)(void), pid_t number) {
  struct clone_args args = {
      .flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID,
      .child_tid = (uintptr_t)&runs,
      .stack = (uintptr_t)stack,
      .stack_size = sizeof stack,
      .set_tid = number ? (uintptr_t)&number : 0,
      .set_tid_size = number ? 1 : 0,
  };
  long ret;
  runs = 1;
  /* The child begins with an empty stack: it calls `what` and exits. */
  __asm__ volatile("syscall\n\t"
                   "test %%rax, %%rax\n\t"
                   "jnz 1f\n\t"
                   "call *%[what]\n\t"
                   "mov %[exit], %%eax\n\t"
                   "xor %%edi, %%edi\n\t"
                   "syscall\n"
                   "1:"
                   : "=a"(ret)
                   : "a"((long)SYS_clone3), "D"(&args), "S"(sizeof args), [what] "r"(what), [exit] "i"(SYS_exit)
                   : "rcx", "r11", "memory");
  errno = ret < 0 ? (int)-ret : 0;
  /* The number of a thread that has just ended may not be free yet. */
  if (number && errno == EEXIST) return spawn(what, number);
  must(ret > 0, "clone3");
  return (int)ret;
}

static void ended(void) {
  while (__atomic_load_n(&runs, __ATOMIC_SEQ_CST)) syscall(SYS_futex, &runs, FUTEX_WAIT, 1, NULL, NULL, 0);
}

static void waits(void) { syscall(SYS_accept4, listener, NULL, NULL, 0); }

static void sleeps(void) {
  struct timespec nap = {.tv_nsec = 1000000};
  syscall(SYS_nanosleep, &nap, NULL);
  waits();
}

static void accepts(void) {
  for (int turn = 0; turn < 2; turn++) made[turn] = (int)syscall(SYS_accept4, listener, NULL, NULL, 0);
}

static void await(const char *fifo) {
  char byte;
  int from = open(fifo, O_RDONLY);
  must(from >= 0, fifo);
  while (read(from, &byte, 1) > 0) {
  }
  close(from);
}

static int visit(void) {
  struct sockaddr_in where;
  socklen_t length = sizeof where;
  int client = socket(AF_INET, SOCK_STREAM, 0);
  must(getsockname(listener, (struct sockaddr *)&where, &length) == 0, "getsockname");
  must(connect(client, (struct sockaddr *)&where, length) == 0, "connect");
  must(getsockname(client, (struct sockaddr *)&where, &length) == 0, "getsockname");
  return ntohs(where.sin_port);
}

/* What the later thread does: it accepts one that waits already, and then one that comes when the fifo says so. */
static void later(int tid, int first, const char *log, const char *fifo) {
  int ports[2];
  ports[0] = visit();
  spawn(accepts, tid);
  await(fifo);
  ports[1] = visit();
  ended();
  FILE *to = fopen(log, "w");
  must(to != NULL, log);
  fprintf(to, "{\"tid\": %d, \"pids\": [%d, %d], \"listener\": %d, \"ports\": [%d, %d], \"made\": [%d, %d]}", tid, first,
          getpid(), listener, ports[0], ports[1], made[0], made[1]);
  must(fclose(to) == 0, log);
}

int main(int argc, char **argv) {
  must(argc >= 4, "arguments");
  const char *how = argv[1], *log = argv[2], *fifo = argv[3];
  if (strcmp(how, "again") == 0) {
    must(argc == 6, "arguments");
    listener = atoi(argv[4]);
    later(atoi(argv[5]), getpid(), log, fifo);
    return 0;
  }
  listener = socket(AF_INET, SOCK_STREAM, 0);
  must(listen(listener, 5) == 0, "listen");
  if (strcmp(how, "exec") == 0) {
    char number[16], tid[16];
    snprintf(number, sizeof number, "%d", listener);
    snprintf(tid, sizeof tid, "%d", spawn(waits, 0));
    await(fifo);
    execl("/proc/self/exe", argv[0], "again", log, fifo, number, tid, NULL);
    must(0, "execl");
  }
  if (strcmp(how, "thread") == 0) {
    visit();
    int former = spawn(sleeps, 0);
    ended();
    later(former, getpid(), log, fifo);
    return 0;
  }
  int tell[2], tid, status;
  must(pipe(tell) == 0, "pipe");
  pid_t first = fork();
  if (first == 0) {
    tid = spawn(waits, 0);
    must(write(tell[1], &tid, sizeof tid) == sizeof tid, "write");
    await(fifo);
    _exit(0);
  }
  must(read(tell[0], &tid, sizeof tid) == sizeof tid, "read");
  must(waitpid(first, &status, 0) == first && status == 0, "waitpid");
  pid_t second = fork();
  if (second == 0) {
    later(tid, first, log, fifo);
    _exit(0);
  }
  must(waitpid(second, &status, 0) == second && status == 0, "waitpid");
  return 0;
}
