/* Notes which functions of a library run: a breakpoint at the start of each, which is taken away when it's met. For trace.py, on x86-64. */

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define BREAKPOINT 0xcc

static uint64_t *starts;
static uint8_t *original, *met;
static long count;

static int by_address(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void on_trap(int number, siginfo_t *info, void *context)
{
    (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint64_t pc = (uint64_t)registers[REG_RIP] - 1;
    uint64_t *found = bsearch(&pc, starts, (size_t)count, sizeof *starts, by_address);
    if (!found) {
        signal(number, SIG_DFL); /* Not ours: met again, it ends the process as it would have. */
        return;
    }
    *(volatile uint8_t *)pc = original[found - starts];
    met[found - starts] = 1;
    registers[REG_RIP] = (greg_t)pc;
}

/* Sets breakpoints at `n` sorted addresses between `low` (of a page) and `high`. Returns a byte for each, 1 once it has been met; NULL if there is
   no memory, or the code can't be written to. */
const uint8_t *watch(const uint64_t *addresses, long n, uint64_t low, uint64_t high)
{
    count = n;
    starts = malloc((size_t)n * sizeof *starts);
    original = malloc((size_t)n);
    met = calloc((size_t)n, 1);
    if (!starts || !original || !met || mprotect((void *)low, high - low, PROT_READ | PROT_WRITE | PROT_EXEC)) {
        return NULL;
    }
    memcpy(starts, addresses, (size_t)n * sizeof *starts);
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGTRAP, &action, NULL);
    for (long i = 0; i < n; i++) {
        original[i] = *(const uint8_t *)starts[i];
        *(volatile uint8_t *)starts[i] = BREAKPOINT;
    }
    return met;
}
