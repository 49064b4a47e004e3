/* Where a process spends its processor time: preloaded into it, this notes the program counter at the ticks of ITIMER_PROF, and
   at the end what each lay in. It knows nothing of Python and asks nothing of it, so it is the same for every tier.

   PEPJIT_PROFILE names the file; the process's number is appended. One letter per sample, in order:
     N  native code made at run time: executable memory that no file backs
     I  the interpreter's loop: the function that has its symbol; where that only begins a chain of tail calls, the functions of its
        dispatch table; where the compiler has split it, its larger part
     J  the library of a JIT that is an extension module
     R  the rest of the interpreter's executable or library
     L  other libraries
     K  the kernel's own pages, and what is nowhere */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

enum { MOST = 1 << 17, REGIONS = 8192, PERIOD_US = 1000 };

static uintptr_t samples[MOST];
static atomic_uint taken;
static pid_t owner;

static struct region {
    uintptr_t start, end;
    char kind; /* as above; 'P' for the interpreter's file: R or I */
} regions[REGIONS];
static unsigned region_count;

static uintptr_t counter(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.pc;
#else
#error "the program counter's place in the context is not known for this architecture"
#endif
}

static void on_tick(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info;
    unsigned place = atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed);
    if (place < MOST) {
        samples[place] = counter(context);
    }
}

static uintptr_t hexadecimal(char **text)
{
    uintptr_t value = 0;
    for (;; ++*text) {
        char c = **text;
        if (c >= '0' && c <= '9') {
            value = value * 16 + (uintptr_t)(c - '0');
        }
        else if (c >= 'a' && c <= 'f') {
            value = value * 16 + (uintptr_t)(c - 'a' + 10);
        }
        else {
            return value;
        }
    }
}

/* The kind of a mapping by what stands at the end of its line. */
static char kind_of(const char *path, const char *executable)
{
    if (*path == 0 || strncmp(path, "[anon", 5) == 0) {
        return 'N'; /* Also where the code has been given up since: data isn't run. */
    }
    if (*path != '/') {
        return 'K';
    }
    const char *name = strrchr(path, '/') + 1;
    if (strstr(name, "pepjit") || strstr(name, "cinderx")) {
        return strstr(name, "sampler") ? 'K' : 'J';
    }
    return strcmp(path, executable) == 0 || strncmp(name, "libpython", 9) == 0 || strncmp(name, "libpypy", 7) == 0 ? 'P' : 'L';
}

static void read_regions(void)
{
    static char line[8192], executable[4096];
    ssize_t length = readlink("/proc/self/exe", executable, sizeof executable - 1);
    executable[length > 0 ? length : 0] = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    if (!maps) {
        return;
    }
    while (region_count < REGIONS && fgets(line, sizeof line, maps)) {
        char *text = line;
        struct region *region = &regions[region_count++];
        region->start = hexadecimal(&text);
        text += *text == '-';
        region->end = hexadecimal(&text);
        /* Rights, offset, device and inode come before the path. */
        for (int field = 0; field < 4; field++) {
            text += strspn(text, " ");
            text += strcspn(text, " \n");
        }
        text += strspn(text, " ");
        text[strcspn(text, "\n")] = 0;
        region->kind = kind_of(text, executable);
    }
    fclose(maps);
}

/* The functions of the interpreter's file, from the table that unwinding uses: a stripped file has it too. */
static struct {
    uintptr_t base;
    const int32_t *table; /* Pairs: a function's start and its entry, relative to `base`; sorted. */
    unsigned count;
    unsigned char in_loop[1 << 16]; /* Which of them are in a dispatch table. */
} functions;

/* The place of the function that an address lies in; -1 for none. */
static int function_of(uintptr_t address)
{
    int low = 0, high = (int)functions.count - 1, found = -1;
    while (low <= high) {
        int middle = (low + high) / 2;
        if (functions.base + (intptr_t)functions.table[2 * middle] <= address) {
            found = middle;
            low = middle + 1;
        }
        else {
            high = middle - 1;
        }
    }
    return found;
}

static uintptr_t start_of(int function)
{
    return functions.base + (intptr_t)functions.table[2 * function];
}

/* A dispatch table is a long run of nothing but functions' starts. */
static void find_tables(const uintptr_t *word, const uintptr_t *end)
{
    enum { LEAST = 200 };
    for (unsigned run = 0; word < end; word++) {
        int function = function_of(*word);
        if (function >= 0 && start_of(function) == *word) {
            if (++run == LEAST) {
                for (unsigned back = 0; back < LEAST; back++) {
                    functions.in_loop[function_of(word[-(int)back])] = 1;
                }
            }
            else if (run > LEAST) {
                functions.in_loop[function] = 1;
            }
        }
        else {
            run = 0;
        }
    }
}

/* Two hundred instructions don't fit into a few KiB: if the loop's own function is that small and there is no dispatch table, the
   compiler has split it. Nothing in an interpreter is larger than its loop, so the largest function is the part that it jumps to. */
static void find_split_part(uintptr_t loop)
{
    enum { SMALL = 8192 };
    int own = function_of(loop), largest = -1;
    uintptr_t size = 0;
    if (own < 0 || own + 1 >= (int)functions.count || start_of(own + 1) - start_of(own) >= SMALL
        || memchr(functions.in_loop, 1, functions.count)) {
        return;
    }
    for (int i = 0; i + 1 < (int)functions.count; i++) {
        if (start_of(i + 1) - start_of(i) > size) {
            size = start_of(i + 1) - start_of(i);
            largest = i;
        }
    }
    if (size > SMALL) {
        functions.in_loop[largest] = 1;
    }
}

static int on_object(struct dl_phdr_info *object, size_t size, void *loop)
{
    (void)size;
    const unsigned char *header = NULL;
    int is_it = 0;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        uintptr_t start = object->dlpi_addr + part->p_vaddr;
        is_it |= part->p_type == PT_LOAD && (uintptr_t)loop - start < part->p_memsz;
        if (part->p_type == PT_GNU_EH_FRAME) {
            header = (const unsigned char *)start;
        }
    }
    /* Version 1, and the encodings that every linker writes: a 4-byte pointer, a 4-byte count, pairs relative to the header. */
    if (!is_it || !header || header[0] != 1 || (header[1] & 0x0f) != 0x0b || header[2] != 0x03 || header[3] != 0x3b) {
        return is_it;
    }
    uint32_t count;
    memcpy(&count, header + 8, sizeof count);
    if (count > sizeof functions.in_loop) {
        return 1;
    }
    functions.base = (uintptr_t)header;
    functions.table = (const int32_t *)(header + 12);
    functions.count = count;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && !(part->p_flags & PF_X) && (part->p_flags & PF_R)) {
            const uintptr_t *word = (const uintptr_t *)((object->dlpi_addr + part->p_vaddr + 7) & ~(uintptr_t)7);
            find_tables(word, word + part->p_filesz / sizeof *word - 1);
        }
    }
    find_split_part((uintptr_t)loop);
    return 1;
}

static char classify(uintptr_t address, uintptr_t loop)
{
    for (unsigned i = 0; i < region_count; i++) {
        if (address < regions[i].start || address >= regions[i].end) {
            continue;
        }
        if (regions[i].kind != 'P') {
            return regions[i].kind;
        }
        int function = function_of(address);
        if (function >= 0) {
            return loop == start_of(function) || functions.in_loop[function] ? 'I' : 'R';
        }
        Dl_info info;
        return dladdr((void *)address, &info) && info.dli_saddr == (void *)loop ? 'I' : 'R';
    }
    /* Code that was made at run time and is gone by now; the kernel's half of the addresses is none of that. */
    return address >> 47 ? 'K' : 'N';
}

__attribute__((constructor)) static void begin(void)
{
    if (!getenv("PEPJIT_PROFILE")) {
        return;
    }
    owner = getpid();
    struct sigaction action = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    sigaction(SIGPROF, &action, NULL);
    struct itimerval timer = {{0, PERIOD_US}, {0, PERIOD_US}};
    setitimer(ITIMER_PROF, &timer, NULL);
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("PEPJIT_PROFILE");
    if (!path || owner != getpid()) {
        return; /* A child by fork has no timer of its own, only our samples. */
    }
    struct itimerval off = {{0, 0}, {0, 0}};
    setitimer(ITIMER_PROF, &off, NULL);
    unsigned count = atomic_load(&taken);
    count = count < MOST ? count : MOST;
    read_regions();
    uintptr_t loop = (uintptr_t)dlsym(RTLD_DEFAULT, "_PyEval_EvalFrameDefault");
    if (loop) {
        dl_iterate_phdr(on_object, (void *)loop);
    }
    char name[4200];
    if (snprintf(name, sizeof name, "%s.%d", path, (int)owner) >= (int)sizeof name) {
        return;
    }
    FILE *file = fopen(name, "w");
    if (!file) {
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        fputc(classify(samples[i], loop), file);
    }
    fputc('\n', file);
    fclose(file);
}
