/* Compiled generators, between generators.c (how they run) and genslots.c (how they are reached). */
#ifndef PEPJIT_GENERATORS_H
#define PEPJIT_GENERATORS_H

#include "internal.h"

#include "internal/pycore_genobject.h"

extern int pepjit_generators_on;
extern const char pepjit_resume_magic;

/* After so many generators it's judged whether ours pay. Making one, and ending it, costs about so many nanoseconds more than in the interpreter, which
 * makes it in place unless compiled code asks. */
enum { JUDGED_AFTER = 512, COST_OF_MAKING = 40, COST_OF_MAKING_NATIVELY = 10 };

/* What generators may have lost, in nanoseconds, before they're judged at once. */
enum { MOST_LOST = 30000 };

/* What going on natively saves, in nanoseconds, if others than the interpreter's own loops ask: it would have to be called anew. */
enum { SAVED_CALL = 6 };

enum { MOST_POINTS = 12, MOST_PROLOGUE = 24, MOST_DEPTH = 60 };

/* An instruction before RETURN_GENERATOR. */
struct prologue {
    uint8_t opcode;
    uint8_t arg;
};

struct pepjit_generator {
    struct pepjit_generator *next;
    PyCodeObject *code;           /* borrowed */
    PyObject *globals, *builtins; /* of the functions that are ours: addresses, never followed */
    uint32_t version;             /* co_version as it was */
    uint8_t active;               /* functions of this code make masked generators */
    uint8_t plain;                /* the prologue is one that `make` can do */
    int32_t locals;               /* co_nlocalsplus */
    uint32_t made;                /* generators since the last judgement */
    int64_t saved;                /* what they have saved */
    uint32_t nprologue;
    struct prologue prologue[MOST_PROLOGUE];
    uint32_t count;
    struct pepjit_resume points[MOST_POINTS]; /* by offset; the first is the start */
};

static inline pepjit_frame *generator_frame(PyGenObject *gen)
{
#if PEPJIT_314
    return &gen->gi_iframe;
#else
    return (pepjit_frame *)gen->gi_iframe;
#endif
}

/* Whether the generator is suspended and ours. One that runs has a frame's address in `previous`, and a frame doesn't begin with our magic. */
static inline bool is_masked(PyGenObject *gen)
{
    pepjit_frame *previous = generator_frame(gen)->previous;
    return gen->gi_frame_state == FRAME_EXECUTING && previous != NULL && *(const void **)previous == &pepjit_resume_magic;
}

static inline struct pepjit_resume *find_point(struct pepjit_generator *known, uint32_t offset)
{
    for (uint32_t i = 0; i < known->count; i++) {
        if (known->points[i].offset == offset) {
            return &known->points[i];
        }
    }
    return NULL;
}

static inline void pepjit_generator_mask(PyGenObject *gen, struct pepjit_resume *point, int state)
{
    gen->gi_closed = (char)state;
    gen->gi_frame_state = FRAME_EXECUTING;
    generator_frame(gen)->previous = (pepjit_frame *)point;
}

/* Whether a stack with these entries NULL is what the point's code is for. The first one that comes says. */
static inline bool pepjit_generator_fits(struct pepjit_resume *point, pepjit_frame *frame, uint64_t nulls)
{
    if (__builtin_expect(point->depth == 0, 0)) {
        int64_t depth = frame_entries(frame) - point->owner->locals + 1;
        if (depth > MOST_DEPTH) {
            return false;
        }
        point->depth = (uint32_t)depth;
        point->nulls = nulls;
    }
    return point->nulls == nulls;
}

void pepjit_generator_unmask(PyGenObject *gen);
/* Unmasks what there is and makes nothing new. */
void pepjit_generators_stop(void);
/* Makes the frame's entries what compiled code takes: counted references to objects, and NULL. 0: that can't be. */
bool pepjit_count_entries(pepjit_frame *frame);
/* Which entries from `from` up to `count` are NULL, a bit each, the first lowest. */
uint64_t pepjit_null_entries(pepjit_frame *frame, int64_t from, int64_t count);

#endif
