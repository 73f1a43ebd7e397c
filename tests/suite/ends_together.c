/* Processes of which both threads end at the same moment, each on a processor of its own where there are two. argv[1] says how
 * many; their pids go to stdout, one a line. Exits with 2 where a call fails that must not. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int arrived;

/* Waits for the other one, and ends without a word to the C library: exit(2) ends this thread alone. */
static void end(void) {
  atomic_fetch_add(&arrived, 1);
  while (atomic_load(&arrived) < 2)
    ;
  syscall(SYS_exit, 0);
}

static void *second(void *unused) {
  (void)unused;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(1, &set);
  /* With one processor alone they end one after the other. */
  sched_setaffinity(0, sizeof set, &set);
  end();
  return 0;
}

int main(int argc, char **argv) {
  int rounds = argc > 1 ? atoi(argv[1]) : 0;
  for (int i = 0; i < rounds; i++) {
    pid_t child = fork();
    if (child == 0) {
      pthread_t thread;
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(0, &set);
      sched_setaffinity(0, sizeof set, &set);
      if (pthread_create(&thread, 0, second, 0) != 0) _exit(2);
      end();
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
      perror("child");
      return 2;
    }
    printf("%d\n", child);
  }
  return 0;
}
