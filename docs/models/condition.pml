/* Notifying a condition: heddle/sync/condition_variable.cpp, with readdress and redirect of heddle/park/wait.cpp and adopt of
 * heddle/sync/internal/turnstile.hpp. Step names are those of their functions, tags those of the condition's essay.
 *
 * A thread with a deadline and a task that may be stopped wait for a condition until there is a token for them. Somebody
 * brings two tokens under the mutex, then notifies all without it, and somebody else destroys the condition as soon as
 * everybody who waited has been notified or has returned. Who is notified is not woken, but stands in the mutex's queue from then on. What
 * happens under a queue's lock is one step, as is giving the mutex with the look at its queue: that is turnstile.pml's
 * matter.
 *
 * Promised: no notification is lost, nobody sleeps for ever; one ends an attempt, and the task is posted once per
 * suspension; neither deadline nor stop ends a wait for the mutex; nobody touches a condition that was destroyed.
 *
 * The scenes. As it is, and -DONE: there is one token, for which one is notified, and whoever took it brings it back and
 * notifies one; nothing but a notification ends the task's wait.
 */

/* must hold: -DONE */

/* must fail: -DFAULT=1 */ /* redirect keeps the generation, so the deadline ends the wait for the mutex (park's I8) */
/* must fail: -DFAULT=2 */ /* a stop ends a redirected wait (park's I8) */
/* must fail: -DFAULT=3 */ /* adopt wakes nobody though the mutex is free (I5) */
/* must fail: -DFAULT=4 */ /* a waiter lets go of the mutex before it stands in the queue (I1) */
/* must fail: -DFAULT=5 -DONE */ /* a notification is used up by one that is just timing out (I2) */
/* must fail: -DFAULT=6 */ /* whoever notifies touches the condition after its queue is unlocked (I3) */
/* must fail: -DFAULT=7 */ /* redirect forgets that the waiter sleeps (park's I8) */
/* must fail: -DFAULT=8 */ /* a waiter that has been notified leaves the condition's queue once more (I3) */
/* must fail: -DFAULT=9 */ /* a notified waiter is woken and moved */

#ifndef FAULT
#define FAULT 0
#endif

#define THREAD 0
#define TASK 1
#define N 2
#define NONE 2

mtype = { idle, arming, parked, suspended, claimed, claimed_suspended, woken, timed_out, stopped };
mtype = { silent, current, stale };

#define OPEN(p) (p == arming || p == parked || p == suspended)
#define ENDED(p) (p == woken || p == timed_out || p == stopped)
#define ASLEEP(i) (i == TASK -> suspended : parked)

/* The condition. */
bool alive = true;
bool queued[N];
bool unnotified[N]; /* waits, and has not been notified */
bool notified;      /* nobody will notify again */

/* The mutex, and what it protects. */
bool held;
bool in_flight;
bool at_mutex[N]; /* stands in its queue */
byte tokens;

/* The slots. */
mtype phase[N] = idle;
bool redirected[N];
mtype ring = silent; /* the deadline: about to end this attempt, or an earlier one */
byte wakes[N];       /* posted, or woken in the kernel, and not yet seen */
bool stop_watched;

#define TOUCH assert(alive)

inline claim(i) { assert(OPEN(phase[i])); phase[i] = (phase[i] == arming -> claimed : claimed_suspended) }

inline publish(i) {
  assert(phase[i] == claimed || phase[i] == claimed_suspended);
  if :: phase[i] == claimed_suspended -> wakes[i]++; assert(wakes[i] == 1) :: else fi;
  phase[i] = woken
}

inline cancel_from(i, result) {
  if
  :: OPEN(phase[i]) -> if :: phase[i] != arming -> wakes[i]++; assert(wakes[i] == 1) :: else fi; phase[i] = result
  :: else
  fi
}

inline commit(i) {
  if
  :: phase[i] == arming -> phase[i] = ASLEEP(i)
  :: phase[i] == claimed -> phase[i] = claimed_suspended
  :: else
  fi
}

/* readdress and redirect are for whoever has claimed. */
inline readdress(i) { assert(phase[i] == claimed || phase[i] == claimed_suspended); redirected[i] = true }

inline redirect(i) {
  phase[i] = (phase[i] == claimed_suspended && FAULT != 7 -> ASLEEP(i) : arming);
  if :: i == THREAD && ring == current && FAULT != 1 -> ring = stale :: else fi
}

/* Sets `chosen`. */
inline choose() {
  if
  :: at_mutex[THREAD] && OPEN(phase[THREAD]) -> chosen = THREAD
  :: at_mutex[TASK] && OPEN(phase[TASK]) -> chosen = TASK
  :: else
  fi;
  if :: chosen != NONE -> claim(chosen); at_mutex[chosen] = false; in_flight = true :: else fi
}

inline tell() { atomic { if :: chosen != NONE -> publish(chosen); chosen = NONE :: else fi } }

inline unlock() {
  atomic { assert(held); held = false; if :: !in_flight -> choose() :: else fi }
  tell()
}

inline adopt() {
  atomic {
    if :: chain[THREAD] -> at_mutex[THREAD] = true; redirect(THREAD); chain[THREAD] = false :: else fi;
    if :: chain[TASK] -> at_mutex[TASK] = true; redirect(TASK); chain[TASK] = false :: else fi;
    if :: !held && !in_flight && FAULT != 3 -> choose() :: else fi
  }
  tell()
}

inline hand_over() {
  if :: FAULT == 6 -> TOUCH :: else fi;
  if :: chain[THREAD] -> atomic { readdress(THREAD) } :: else fi;
  if :: chain[TASK] -> atomic { readdress(TASK) } :: else fi;
  if
  :: chain[THREAD] || chain[TASK] -> adopt();
     if :: FAULT == 9 && redirected[TASK] -> atomic { wakes[TASK]++; assert(wakes[TASK] == 1) } :: else fi
  :: else
  fi
}

/* claim_next: of `i`, if it stands there. */
inline claim_next(i) {
  if
  :: queued[i] && OPEN(phase[i]) -> claim(i); queued[i] = false; unnotified[i] = false; chain[i] = true; used = true
  :: queued[i] && !OPEN(phase[i]) -> used = FAULT == 5
  :: else
  fi
}

inline notify_all() {
  atomic { TOUCH; claim_next(THREAD); claim_next(TASK); used = false; notified = true }
  hand_over()
}

inline notify_one() {
  atomic { TOUCH; claim_next(THREAD); if :: !used -> claim_next(TASK) :: else fi; used = false }
  hand_over()
}

/* Waits in a loop until it has a token, or its wait is ended. */
proctype waiter(byte me) {
  byte chosen = NONE;
  bool chain[N];
  bool used, has_one;
  mtype result;
  atomic { !held -> held = true }
  do
  :: tokens > 0 -> tokens--; has_one = true; break
  :: else ->
     atomic { assert(phase[me] == idle); phase[me] = arming; redirected[me] = false }
     if :: me == TASK -> stop_watched = true :: else fi;
#if FAULT == 4
     unlock();
     atomic { TOUCH; queued[me] = true; unnotified[me] = true }
#else
     atomic { TOUCH; queued[me] = true; unnotified[me] = true }
     unlock();                                                                                       /* I1 */
#endif
     do
     :: atomic { commit(me); result = phase[me] }
        if :: !ENDED(result) -> atomic { wakes[me] > 0 -> wakes[me]--; result = phase[me]; assert(ENDED(result)) } :: else fi;
        if
        :: result != woken ->
           assert(!redirected[me]);
           atomic { TOUCH; queued[me] = false; unnotified[me] = false } /* leave */
           break
        :: else ->
           if :: FAULT == 8 -> TOUCH :: else fi;
           phase[me] = arming; /* rearm */
           atomic { /* take_or_enqueue, as one that was woken */
             in_flight = false;
             if
             :: !held -> held = true; break
             :: else -> at_mutex[me] = true
             fi
           }
        fi
     od;
     atomic { phase[me] = idle; if :: me == THREAD && ring == current -> ring = stale :: else fi }
     if
     :: result != woken -> atomic { !held -> held = true }
        break
     :: else
     fi
  od;
  if :: me == TASK -> stop_watched = false :: else fi;
#ifdef ONE
  if :: has_one -> tokens++; unlock(); notify_one() :: else -> unlock() fi
#else
  unlock()
#endif
}

proctype notifier() {
  byte chosen = NONE;
  bool chain[N];
  bool used;
  atomic { !held -> held = true }
#ifdef ONE
  tokens = 1;
#else
  tokens = 2;
#endif
  unlock();
#ifdef ONE
  notify_one()
#else
  notify_all()
#endif
}

/* Whoever notifies may still be handing over. */
proctype destroyer() {
  atomic { notified && !unnotified[THREAD] && !unnotified[TASK] -> assert(!queued[THREAD] && !queued[TASK]); alive = false }
}

proctype clock() {
end:
  atomic { ring == silent && phase[THREAD] != idle && queued[THREAD] -> ring = current }
  atomic { if :: ring == current -> cancel_from(THREAD, timed_out) :: else fi; ring = silent }
}

proctype stopper() {
end:
  stop_watched;
  atomic { if :: stop_watched && (!redirected[TASK] || FAULT == 2) -> cancel_from(TASK, stopped) :: else fi }
}

init {
  atomic {
    run waiter(THREAD); run waiter(TASK); run notifier(); run clock();
#ifndef ONE
    run stopper(); run destroyer()
#endif
  }
}
