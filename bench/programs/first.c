/* The job of B5: its first statement reads the clock that the client reads too, and prints it in nanoseconds.
 * Linked statically, so that nothing but the kernel's exec and a few instructions of libc lies before it.
 */
#include <stdio.h>
#include <time.h>

int main(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    printf("%lld\n", (long long)at.tv_sec * 1000000000 + at.tv_nsec);
    return 0;
}
