/* A server's way to lose descriptors: each request opens a file in one function and lets go of it, but one in a hundred is
 * opened in another, which forgets it. It logs what it forgot. Several threads work. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static FILE *log_file;

__attribute__((noinline)) static int forgets(void) {
    int fd = open("/etc/hostname", O_RDONLY);
    fprintf(log_file, "{\"left\":%d,\"thread\":%d}\n", fd, gettid());
    fflush(log_file);
    return fd;
}

__attribute__((noinline)) static int closes(void) {
    int fd = open("/etc/hostname", O_RDONLY);
    close(fd);
    return fd;
}

__attribute__((noinline)) static int request(unsigned number) {
    /* More than is kept of a stack: without a frame pointer nothing leads beyond. */
    volatile char page[4096];
    page[number % sizeof page] = 1;
    int fd = number % 100 == 99 ? forgets() : closes();
    return fd + page[number % sizeof page];
}

__attribute__((noinline)) static void *work(void *unused) {
    for (unsigned number = 0;; number++) {
        if (request(number) <= 0)
            abort();
        usleep(2000);
    }
    return unused;
}

int main(int argc, char **argv) {
    log_file = argc > 1 ? fopen(argv[1], "a") : NULL;
    if (!log_file)
        return 2;
    fprintf(log_file, "{\"pid\":%d}\n", getpid());
    fflush(log_file);
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, NULL))
        return 2;
    work(NULL);
}
