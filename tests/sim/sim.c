/* The simulator's command line:
 *
 *     sim --seeds 1-2000 --jobs 2      these seeds, on two processors
 *     sim --seed 17 --trace            one of them, with all that happens
 *     sim --seed 17 --shrink           the simplest settings under which it still fails
 *     sim --seed 17 --set up_loss=0    one of them, with a parameter of scenario.def changed
 *     sim --seed 17 --draw             what its parameters are; nothing is run
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void __sanitizer_set_death_callback(void (*callback)(void));

enum { MOST_SETTINGS = 128, MOST_JOBS = 16 };

struct options {
    uint64_t first;
    uint64_t last;
    uint32_t jobs;
    uint32_t failures; /* a job ends after so many */
    bool trace;
    bool shrink;
    bool show;
    bool draw;
    const char *settings[MOST_SETTINGS];
    uint32_t setting_count;
};

/* What a job has found. */
struct tally {
    uint64_t runs;
    uint64_t failures;
    uint64_t digest;
};

static uint64_t present_seed; /* for the sanitizer's last words */

static void on_death(void)
{
    printf("seed %llu failed: the sanitizer has stopped it\n", (unsigned long long)present_seed);
    fflush(stdout);
}

static struct scenario make_scenario(const struct options *options, uint64_t seed)
{
    struct scenario scenario;
    scenario_draw(&scenario, seed);
    for (uint32_t i = 0; i < options->setting_count; i++) {
        if (!scenario_set(&scenario, options->settings[i])) {
            fprintf(stderr, "there is no parameter %s\n", options->settings[i]);
            exit(2);
        }
    }
    return scenario;
}

static void tell_how_to_repeat(const struct options *options, uint64_t seed)
{
    printf("  again: build/sim/sim --seed %llu", (unsigned long long)seed);
    for (uint32_t i = 0; i < options->setting_count; i++)
        printf(" --set %s", options->settings[i]);
    printf(" --trace\n");
    fflush(stdout);
}

/* --- shrinking
 * --------------------------------------------------------------------------------------------------- */

/* How it fails, if it does. In a process of its own, so that a sanitizer's end is a failure, too. */
static int failure_of(const struct scenario *scenario)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        uint64_t digest;
        if (!freopen("/dev/null", "w", stderr))
            _exit(2);
        __sanitizer_set_death_callback(NULL);
        _exit(sim_run(scenario, false, true, &digest));
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}

/* Each parameter in turn is made as simple as it can be, and stays so if the run fails in the same way. */
static void shrink(uint64_t seed, struct scenario *scenario)
{
    struct scenario drawn;
    int failure = failure_of(scenario);
    scenario_draw(&drawn, seed);
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = 0; i < PARAMETER_COUNT; i++) {
            uint32_t *value = scenario_at(scenario, &PARAMETERS[i]);
            uint32_t before = *value;
            if (before == PARAMETERS[i].simplest)
                continue;
            *value = PARAMETERS[i].simplest;
            if (failure_of(scenario) == failure)
                again = true;
            else
                *value = before;
        }
    }
    printf("shrunk: build/sim/sim --seed %llu --trace", (unsigned long long)seed);
    for (uint32_t i = 0; i < PARAMETER_COUNT; i++)
        if (*scenario_at(scenario, &PARAMETERS[i]) != *scenario_at(&drawn, &PARAMETERS[i]))
            printf(" --set %s=%u", PARAMETERS[i].name, *scenario_at(scenario, &PARAMETERS[i]));
    printf("\n");
    scenario_print(scenario, stdout);
}

/* --- jobs
 * ----------------------------------------------------------------------------------------------------------
 */

static bool run_seed(const struct options *options, uint64_t seed, struct tally *tally)
{
    struct scenario scenario = make_scenario(options, seed);
    uint64_t digest = 0;
    present_seed = seed;
    if (options->show)
        scenario_print(&scenario, stdout);
    bool passed = !sim_run(&scenario, options->trace, false, &digest);
    tally->runs++;
    tally->digest += mix64(digest ^ seed);
    if (passed)
        return true;
    tally->failures++;
    tell_how_to_repeat(options, seed);
    if (options->shrink)
        shrink(seed, &scenario);
    return false;
}

static struct tally run_share(const struct options *options, uint32_t job)
{
    struct tally tally = {0};
    for (uint64_t seed = options->first + job; seed <= options->last; seed += options->jobs)
        if (!run_seed(options, seed, &tally) && tally.failures == options->failures)
            break;
    return tally;
}

/* Every job is a process that tells its tally through a pipe. */
static bool run_jobs(const struct options *options, struct tally *total)
{
    int pipes[MOST_JOBS][2];
    bool well = true;
    for (uint32_t job = 0; job < options->jobs; job++) {
        if (pipe(pipes[job]))
            return false;
        if (fork() == 0) {
            struct tally tally = run_share(options, job);
            fflush(stdout);
            exit(write(pipes[job][1], &tally, sizeof(tally)) == sizeof(tally) ? 0 : 1);
        }
        close(pipes[job][1]);
    }
    for (uint32_t job = 0; job < options->jobs; job++) {
        struct tally tally;
        well &= read(pipes[job][0], &tally, sizeof(tally)) == sizeof(tally);
        if (well) {
            total->runs += tally.runs;
            total->failures += tally.failures;
            total->digest += tally.digest;
        }
        int status;
        wait(&status);
        well &= status == 0;
    }
    return well && !total->failures;
}

/* --- options
 * ---------------------------------------------------------------------------------------------------------
 */

static void take_seeds(struct options *options, const char *text)
{
    char *rest;
    options->first = strtoull(text, &rest, 10);
    options->last = *rest == '-' ? strtoull(rest + 1, NULL, 10) : options->first;
}

static bool take_flag(struct options *options, const char *name)
{
    if (strcmp(name, "--trace") == 0)
        options->trace = options->show = true;
    else if (strcmp(name, "--shrink") == 0)
        options->shrink = true;
    else if (strcmp(name, "--show") == 0)
        options->show = true;
    else if (strcmp(name, "--draw") == 0)
        options->draw = true;
    else
        return false;
    return true;
}

static bool take_options(struct options *options, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (take_flag(options, argv[i]))
            continue;
        if (++i == argc)
            return false;
        if (strcmp(argv[i - 1], "--seed") == 0 || strcmp(argv[i - 1], "--seeds") == 0)
            take_seeds(options, argv[i]);
        else if (strcmp(argv[i - 1], "--jobs") == 0)
            options->jobs = (uint32_t)strtoul(argv[i], NULL, 10);
        else if (strcmp(argv[i - 1], "--failures") == 0)
            options->failures = (uint32_t)strtoul(argv[i], NULL, 10);
        else if (strcmp(argv[i - 1], "--set") == 0 && options->setting_count < MOST_SETTINGS)
            options->settings[options->setting_count++] = argv[i];
        else
            return false;
    }
    return options->first && options->jobs && options->jobs <= MOST_JOBS;
}

int main(int argc, char **argv)
{
    struct options options = {.jobs = 1, .failures = 10};
    if (!take_options(&options, argc, argv)) {
        fprintf(stderr, "sim --seeds A-B [--jobs N] | --seed N [--trace] [--shrink] [--show] [--draw]; "
                        "[--set parameter=value]…\n");
        return 2;
    }
    if (options.draw) {
        struct scenario scenario = make_scenario(&options, options.first);
        scenario_print(&scenario, stdout);
        return 0;
    }
    __sanitizer_set_death_callback(on_death);
    struct tally total = {0};
    bool passed;
    if (options.jobs > 1) {
        passed = run_jobs(&options, &total);
    } else {
        total = run_share(&options, 0);
        passed = !total.failures;
    }
    printf("%llu seeds passed", (unsigned long long)(total.runs - total.failures));
    if (!passed)
        printf(", %llu failed", (unsigned long long)total.failures);
    printf(" (digest %016llx)\n", (unsigned long long)total.digest);
    return passed ? 0 : 1;
}
