#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *time) {
    static int (*right)(clockid_t, struct timespec *);
    if (!right)
        right = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int answer = right(id, time);
    const char *wrong_by = getenv("WRONG_BY");
    if (id == CLOCK_REALTIME && wrong_by)
        time->tv_sec += atol(wrong_by);
    return answer;
}
