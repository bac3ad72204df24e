/* The wait protocol: heddle/park/wait.cpp and phase.hpp. Step names are those of its functions, tags those of its essay.
 *
 * Modelled: the claim word (generation and phase), a primitive that is one queue and one token, a thread and a task that
 * wait for it twice each, a waker, a stop, deadlines that may ring late, for a wait that is long over, and a reader that
 * pins. Each step on the claim is one step here. What the queue and the word of a primitive do is turnstile.pml's matter.
 *
 * A waiter stands in the queue and waits for one of two wakes; when its deadline or its stop ends the wait first, it
 * leaves the queue and goes. Woken, it makes a second attempt in the same wait (rearm) and is woken again or not. Then
 * the wait ends, and the next one begins in the same slot. The primitive is gone as soon as no waiter needs it.
 *
 * Promised: one ends a wait, and nobody ends one that he did not mean (I1, I2); a task is posted once per suspension, and
 * runs only then (I4); a stop is not lost between two attempts (I6); nobody looks at a primitive that may be gone (E4);
 * nobody sleeps for ever.
 */

/* must hold: -DTASK */

/* must fail: -DFAULT=1 -DTASK */ /* commit does not look for a claim that came while arming (I4) */
/* must fail: -DFAULT=2 -DTASK */ /* publish posts a task that has not suspended (I4) */
/* must fail: -DFAULT=3 */        /* a deadline does not name the generation (I2) */
/* must fail: -DFAULT=4 -DTASK */ /* rearm looks at the stop before the new attempt can be ended (I6) */
/* must fail: -DFAULT=5 -DTASK */ /* rearm does not look at the stop (I6) */
/* must fail: -DFAULT=6 */        /* a canceller ends a wait that is claimed (I1, I3) */
/* must fail: -DFAULT=7 */        /* the thread sleeps without comparing the claim with what it saw */
/* must fail: -DFAULT=8 */        /* a parked thread is not woken by whoever publishes */
/* must fail: -DFAULT=9 */        /* end_wait does not wait for the pins (E4) */
/* must fail: -DFAULT=10 */       /* the pin looks before it is set (E4) */
/* must fail: -DFAULT=11 */       /* a claim is two steps: look, then store (I1) */
/* must fail: -DFAULT=12 */       /* a thread that finds itself claimed sleeps without saying so (I9) */

#ifndef FAULT
#define FAULT 0
#endif

#define WAITS 2 /* how many waits the slot lives through */

mtype = { idle, arming, parked, suspended, claimed, claimed_suspended, woken, timed_out, stopped };

/* The slot. */
byte generation;
mtype phase = idle;
bool queued;       /* under the queue's lock */
bool locked;       /* the queue's lock */
bool pinnable;
byte pins;

bool sleeping;     /* the thread is asleep in the kernel; a wake makes it false */
byte posts;        /* how often the suspended task has been posted and not yet run */
bool alive = true; /* the primitive of this wait */

bool stop_requested;
bool stop_watched; /* the callback is registered: between begin and end of the last wait */
bool stop_running;
byte ended;        /* how often this attempt has been ended */
bool over;

#define ENDED(p) (p == woken || p == timed_out || p == stopped)
#define OPEN(p) (p == arming || p == parked || p == suspended)

/* cancel_from: one compare-and-swap away from an open phase. */
inline cancel_from(result) {
  if
  :: OPEN(phase) || (FAULT == 6 && phase == claimed) ->
     before = phase; phase = result; ended++; assert(ended == 1);                                  /* I1 */
     if
     :: before == suspended -> posts++; assert(posts == 1)                                         /* I4 */
     :: before == parked -> sleeping = false
     :: else
     fi
  :: else
  fi
}

/* The waker claims under the lock of the queue, lets go of it, and publishes (I3). */
proctype waker(byte wakes) {
  mtype before;
  do
  :: wakes > 0 ->
     wakes--;
     atomic { (queued || over) && !locked -> locked = true }
     if
     :: atomic { queued && OPEN(phase) ->
          before = phase;
#if FAULT == 11
        }
        atomic {
#endif
          phase = (before == arming -> claimed : claimed_suspended);                             /* I1, E2 */
          ended++; assert(ended == 1);
          queued = false; locked = false
        }
        atomic {
          assert(phase == claimed || phase == claimed_suspended);                                   /* I3 */
          before = phase; phase = woken;                                                            /* E1, E3 */
          if :: FAULT == 2 -> before = claimed_suspended :: else fi;
#ifdef TASK
          if :: before == claimed_suspended -> posts++; assert(posts == 1) :: else fi              /* I4 */
#endif
        }
#ifndef TASK
        if :: before == claimed_suspended && FAULT != 8 -> sleeping = false :: else fi              /* I9 */
#endif
     :: else -> locked = false /* it is just leaving */
     fi
  :: else -> break
  od
}

/* A deadline of one attempt: may ring at any time, also when that attempt is over. */
proctype clock() {
  mtype before;
  byte meant;
  byte rings = 2;
  do
  :: atomic { rings > 0 && !over && generation > meant -> meant = generation; rings-- }
     atomic {
       if
       :: generation == meant || FAULT == 3 ->                                                      /* I2 */
          if :: OPEN(phase) -> assert(generation == meant) :: else fi;
          cancel_from(timed_out)
       :: else
       fi
     }
  :: break
  od
}

/* cancel_current: whatever the generation, tried again until the attempt has not changed meanwhile. Under sequential
 * consistency, which this model has, one try would do; for weaker memory see E5. */
proctype stopper() {
  mtype before;
  byte seen;
  bool done;
  stop_requested = true;
  atomic { if :: stop_watched -> stop_running = true :: else -> goto out fi }
  do
  :: seen = generation;
     atomic {
       done = OPEN(phase) && generation == seen;
       if :: done -> cancel_from(stopped) :: else fi
     }
     if
     :: done -> break
     :: else -> if :: generation == seen -> break :: else fi
     fi
  od;
  stop_running = false;
out:
  skip
}

/* A reader of the wait's resource, such as the list of all waits. */
proctype reader() {
  bool holds;
#if FAULT == 10
  holds = pinnable;
  pins++;
#else
  pins++;
  holds = pinnable;
#endif
  if :: holds -> assert(alive) :: else fi; /* looks at the primitive */
  pins--
}

proctype waiter() {
  byte waits = WAITS;
  mtype seen, before;
  bool again;
  do
  :: waits > 0 ->
     waits--;
     again = true;
     atomic { alive = true; generation++; phase = arming; ended = 0 }                              /* begin_wait */
     pinnable = true;
     /* The stop is watched; one that has been requested before ends the wait at once. */
     atomic {
       stop_watched = true;
       if :: stop_requested && !stop_running -> cancel_from(stopped) :: else fi
     }
enqueue:
     atomic { !locked -> queued = true }
#ifdef TASK
     atomic {                                                                                        /* commit */
       if
       :: phase == arming -> phase = suspended
       :: phase == claimed -> if :: FAULT != 1 -> phase = claimed_suspended :: else fi               /* E3, I4 */
       :: else -> goto awake
       fi
     }
     atomic { posts > 0 -> posts--; assert(ENDED(phase)) }
awake:
     assert(posts == 0);
#else
     atomic {                                                                                        /* commit */
       if
       :: phase == arming -> phase = parked
       :: phase == claimed && FAULT != 12 -> phase = claimed_suspended                               /* I9 */
       :: else
       fi
     }
     do
     :: seen = phase;
        if
        :: ENDED(seen) -> break
        :: else ->
           atomic { if :: phase == seen || FAULT == 7 -> sleeping = true :: else fi } /* the kernel compares */
           !sleeping
        fi
     od;
#endif
     atomic { assert(ENDED(phase)); seen = phase }                                                   /* E1 */
     if
     :: seen == woken && again ->
        again = false;
#if FAULT == 4
        before = (stop_requested -> stopped : idle);
#endif
        atomic { generation++; phase = arming; ended = 0 }                                          /* rearm_wait */
#if FAULT == 4
        atomic { if :: before == stopped -> cancel_from(stopped) :: else fi }
#elif FAULT != 5
        atomic { if :: stop_requested -> cancel_from(stopped) :: else fi }                           /* I6 */
#endif
        goto enqueue
     :: seen != woken -> atomic { !locked -> queued = false } /* leaves the queue */
     :: else
     fi;
     atomic { !stop_running -> stop_watched = false }                                              /* finish */
     pinnable = false;                                                                               /* E4 */
     atomic { pins == 0 || FAULT == 9 -> phase = idle }
     alive = false
  :: else -> break
  od;
  over = true
}

/* A waker for every attempt but the last: so that the last needs the stop or its deadline, or a waker for all. */
init {
  atomic {
    run waiter();
    run waker(2 * WAITS - 1);
    run stopper();
    run clock();
    run reader()
  }
}
