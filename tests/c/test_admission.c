/* Overload, as admission sees it: which intervals let fewer connections in, by how much, and how that ends.
 */
#include "admission/admit.h"
#include "check.h"

enum { INTERVAL = 5 * 1000 * 1000, WORK = 1000 }; /* frames dealt with in an interval */

static struct dp_config config = {.transfer_count = 1, .transfers = {{.state = DP_RUNNING}}};

struct scene {
    struct admission admission;
    uint64_t now;
    uint64_t done;
};

static struct scene scene_begin(void)
{
    struct scene scene = {.now = 1000ull * INTERVAL};
    admission_open(&scene.admission, &config);
    scene.admission.adapted_at = scene.now;
    return scene;
}

/* An interval of ten loops, after which so much waits. Returns the share afterwards. */
static double passes(struct scene *scene, struct loop loop, uint32_t backlog)
{
    bool over = false;
    for (int i = 0; i < 10; i++) {
        CHECK(!over);
        scene->now += INTERVAL / 10;
        over = admission_note(&scene->admission, loop, scene->now);
    }
    CHECK(over);
    scene->done += WORK;
    admission_adapt(&scene->admission, backlog, scene->done, scene->now);
    return scene->admission.share;
}

static const struct loop BEHIND = {.idle = false};
static const struct loop AT_WORK = {.caught_up = true};
static const struct loop IDLE = {.caught_up = true, .idle = true};
static const struct loop PRESSED = {.pressed = true};

static void test_a_backlog_that_grows_is_overload(void)
{
    struct scene scene = scene_begin();
    CHECK(passes(&scene, BEHIND, 6000) == 1 && passes(&scene, BEHIND, 6040) == 1);
    CHECK(passes(&scene, BEHIND, 6080) == 1); /* three intervals in a row begin to count when they are over */
    double little = passes(&scene, BEHIND, 6120);
    CHECK(little < 1 && little > 0.985); /* 4 % more than can be done: a quarter of that */
    double much = passes(&scene, BEHIND, 9000);
    CHECK(much < little * 0.88 && much > little * 0.87);
    CHECK(admission_closed(&scene.admission) > 0);
}

static void test_a_backlog_that_shrinks_is_only_late(void)
{
    struct scene scene = scene_begin();
    for (uint32_t backlog = 20000; backlog; backlog -= 100)
        CHECK(passes(&scene, BEHIND, backlog) == 1);
}

static void test_a_backlog_that_is_soon_worked_off_is_none(void)
{
    struct scene scene = scene_begin();
    for (uint32_t backlog = 0; backlog <= 5 * WORK; backlog += 10)
        CHECK(passes(&scene, BEHIND, backlog) == 1);
}

static void test_who_catches_up_is_not_overloaded(void)
{
    struct scene scene = scene_begin();
    for (uint32_t backlog = 6000; backlog < 20000; backlog += 100)
        CHECK(passes(&scene, AT_WORK, backlog) == 1);
}

static void test_it_rises_as_far_as_there_is_time_left(void)
{
    struct scene scene = scene_begin();
    for (int i = 0; i < 100; i++)
        passes(&scene, PRESSED, 0);
    double least = scene.admission.share;
    CHECK(least > 0 && least < 0.001);
    for (int i = 0; i < 100; i++)
        CHECK(passes(&scene, AT_WORK, 0) == least);
    for (int i = 0; i < 80; i++)
        CHECK(passes(&scene, IDLE, 0) < 1);
    for (int i = 0; i < 82; i++)
        passes(&scene, IDLE, 0);
    CHECK(scene.admission.share == 1 && admission_closed(&scene.admission) == 0);
}

int main(void)
{
    RUN(test_a_backlog_that_grows_is_overload);
    RUN(test_a_backlog_that_shrinks_is_only_late);
    RUN(test_a_backlog_that_is_soon_worked_off_is_none);
    RUN(test_who_catches_up_is_not_overloaded);
    RUN(test_it_rises_as_far_as_there_is_time_left);
    return 0;
}
