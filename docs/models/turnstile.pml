/* The turnstile: heddle/sync/internal/turnstile.hpp. Step names are those of its functions, tags those of its essay.
 *
 * Modelled: the word (value and six flags), the sequence in which a mutex is given by a plain store (I9), the queue and its lock, threads and tasks with their executors, timeouts,
 * rechecks, the alarm for a task that is late, and destruction right after the last unlock. Each read-modify-write of
 * the word is one step, everything else may happen between two of them. How a wait begins and ends is wait.pml's
 * matter: here a waiter waits, is claimed, and is woken or timed out. Time is left out: whatever has a deadline, a
 * recheck or an alarm may meet it at any moment, and a waiter may count as starving whenever somebody looks. Whether a
 * careful word is worth its price is left out, too: a holder may settle whenever it gives.
 *
 * Promised: mutual exclusion and no more permits than there are; nobody sleeps for ever (an end state in which somebody
 * still waits is an error); nobody touches the object after it was destroyed, and it is destroyed with a clean word.
 *
 * The scenes. A mutex: a thread that comes twice, a thread that occupies executor 0, a task on executor 0.
 * -DGIVES_UP: a thread that comes twice, two that come once, one of them with a deadline. -DTASKS: a thread, a thread
 * that occupies executor 0, two tasks on executor 0, one of them with a deadline.
 * -DSIGNAL: a semaphore without permits; two releases of one permit let in a thread that wants two, and destroys it;
 * another that wants three gives up. -DBATCH: one release of two permits lets in two threads that want one each, and
 * another that wants three gives up.
 */

/* must hold: -DGIVES_UP */
/* must hold: -DTASKS */
/* must hold: -DSIGNAL */
/* must hold: -DBATCH */

/* must fail: -DFAULT=1 -DGIVES_UP */ /* the store does not look again when the queue has changed (I6) */
/* must fail: -DFAULT=2 -DSIGNAL */  /* looked is set although the value has changed since the look (I6) */
/* must fail: -DFAULT=3 */           /* no alarm for a newcomer that came between look and store (I4) */
/* must fail: -DFAULT=4 */           /* an alarm that rings before the wake is published is dropped (wait.cpp, I7) */
/* must fail: -DFAULT=5 -DSIGNAL */  /* a recheck that was claimed meanwhile sets waiters */
/* must fail: -DFAULT=6 */           /* the value is given before the queue is unlocked (I5) */
/* must fail: -DFAULT=7 */           /* the wake is published before the value is given */
/* must fail: -DFAULT=8 */           /* a task in flight keeps others from being woken (I4) */
/* must fail: -DFAULT=9 */           /* a woken waiter that fails leaves in_flight set (I3) */
/* must fail: -DFAULT=10 -DBATCH */  /* who gives up does not wake the next */
/* must fail: -DFAULT=11 -DBATCH */  /* who takes less than there is does not wake the next (I3) */
/* must fail: -DFAULT=12 */          /* a newcomer behind a task in flight leaves in_flight set (I4) */
/* must fail: -DFAULT=13 */          /* starving outlives the waiter that starved */
/* must fail: -DFAULT=14 */          /* waiters is not set under the queue's lock before the node stands in it (I2) */
/* must fail: -DFAULT=15 */          /* the late task does not wait until the clock has looked after its neighbours */
/* must fail: -DFAULT=16 -DTASKS */  /* who may not go yet does not care for who may (I4) */
/* must fail: -DFAULT=17 */          /* who makes the word careful does not restart the others' sequences (I9) */
/* must fail: -DFAULT=18 */          /* and does not look whether it still is (I9) */
/* must fail: -DFAULT=19 */          /* waiters is set in a word that is not careful (I9) */
/* must fail: -DFAULT=20 -DGIVES_UP */ /* the queue's lock is let go before the sequences are restarted (I9) */

/* not in the code: take_or_enqueue_now unlock_queue suspend resume destroy */

#ifndef FAULT
#define FAULT 0
#endif

#define NONE 9
#define N 4

#if defined(SIGNAL) || defined(BATCH)
#define SEMAPHORE
#define CAPACITY 2
#define INITIAL 0
#else
#define CAPACITY 1
#define INITIAL 1
#endif

/* Agents that are tasks, and the executor each agent needs or occupies: NONE for a thread of its own. */
#if defined(SEMAPHORE)
#define IS_TASK(i) false
#elif defined(TASKS)
#define IS_TASK(i) ((i) >= 2)
#else
#define IS_TASK(i) ((i) == 2)
#endif

mtype = { idle, waiting, claimed, woken, timed_out };
mtype = { newcomer, after_wake, recheck };

/* The word. */
byte value = INITIAL;
bool waiters, starving, in_flight, in_flight_task, looked, careful;
bool in_sequence[N]; /* has seen nothing but its own id in the word, and is about to store 0 */
bool alive = true;

/* The queue. */
bool locked;
byte queue[N];
byte length;
bool queued[N];
bool mixed;

/* The waits. */
mtype phase[N] = idle;
byte amount[N];
byte runs_on[N];
bool alarm[N];
byte firing = NONE;
bool rechecks[N];
byte idle_rechecks[N];

bool busy[2]; /* an executor's thread runs one of its tasks, or is blocked */

byte inside;
byte references;

#define EXECUTOR(i) (IS_TASK(i) -> runs_on[i] : NONE) /* as the mixed bit has it: all threads are one */
#define TOUCH assert(alive)
#define FLAGGED (waiters || starving || in_flight || in_flight_task || looked)
#if defined(SEMAPHORE) || FAULT == 19
#define NEEDS_CARE false
#else
#define NEEDS_CARE (!careful && !cared)
#endif
#define UNATTENDED (waiters && !in_flight)
#define FIRST (length > 0 -> queue[0] : NONE)

inline unlock_queue() { mixed = mixed && length > 0; locked = false }

inline push_back(i) {
  mixed = mixed || (length > 0 && EXECUTOR(i) != EXECUTOR(queue[0]));
  queue[length] = i; length++; queued[i] = true
}

inline push_front(i) {
  mixed = mixed || (length > 0 && EXECUTOR(i) != EXECUTOR(queue[0]));
  k = length;
  do :: k > 0 -> queue[k] = queue[k - 1]; k-- :: else -> break od;
  queue[0] = i; length++; queued[i] = true
}

inline remove(i) {
  k = 0;
  do :: k < length && queue[k] != i -> k++ :: else -> break od;
  if
  :: k < length ->
     length--; queued[i] = false;
     do :: k < length -> queue[k] = queue[k + 1]; k++ :: else -> break od;
     queue[length] = 0
  :: else
  fi;
  k = 0
}

/* claim_first: claims the oldest waiter that can go with `with`, and takes it out. */
inline claim_first(with) {
  k = 0;
  do
  :: k < length && amount[queue[k]] <= with && phase[queue[k]] != waiting -> k++
  :: else -> break
  od;
  if
  :: k < length && amount[queue[k]] <= with ->
     chosen = queue[k];
     phase[chosen] = claimed;
     unsure = IS_TASK(chosen) && mixed && FAULT != 8;
     remove(chosen)
  :: else -> k = 0
  fi
}

/* choose: takes the queue's lock, and lets go of it. `more` is what is about to be given, `if_none` whether to set
 * looked. Between the look at the value and the exchange others may change the word. Sets `others_wait`. */
inline choose(more, if_none) {
  atomic { !locked -> TOUCH; locked = true; looked_at = value; claim_first(looked_at + more) }
  do
  :: atomic {
       TOUCH;
       if
       :: chosen == NONE && value != looked_at && FAULT != 2 -> /* the exchange fails: once more */
          looked_at = value; claim_first(looked_at + more)
       :: else ->
          if
          :: chosen != NONE || length > 0 -> starving = true /* or not */
          :: skip
          fi;
          waiters = waiters && length > 0;
          if
          :: chosen == NONE -> looked = looked || (if_none && length > 0)
          :: else ->
             looked = false;
             if
             :: unsure -> in_flight = false; in_flight_task = false                          /* I4 */
             :: else -> in_flight = true; in_flight_task = in_flight_task || IS_TASK(chosen)
             fi
          fi;
          others_wait = UNATTENDED; looked_at = 0;
          unlock_queue();
          break
       fi
     }
  od
}

inline publish(i) { assert(phase[i] == claimed); phase[i] = woken }

/* watch: the clock will look after those behind a late task (I4). */
inline watch(i) { assert(!alarm[i]); alarm[i] = true }

inline wake_one() {
  choose(0, false);
  if
  :: chosen != NONE && others_wait && IS_TASK(chosen) -> watch(chosen)
  :: else
  fi;
  if
  :: chosen != NONE -> atomic { publish(chosen); chosen = NONE; unsure = false }
  :: else
  fi;
  others_wait = false
}

/* give: `chosen` is who has been woken. */
inline give(many) {
  do
  :: atomic {
       alive && UNATTENDED && chosen == NONE && !(has_looked && (looked || FAULT == 1)) ->              /* I6 */
       has_looked = true
     }
     choose(many, true);
#if FAULT == 3
     if :: chosen != NONE && IS_TASK(chosen) && others_wait -> watch(chosen) :: else fi;
     watched = true;
#endif
     others_wait = false;
#if FAULT == 6
     atomic { locked = true; value = value + many; looked = false }
     atomic { TOUCH; locked = false }
     break
#endif
#if FAULT == 7
     if :: chosen != NONE -> atomic { publish(chosen) } :: else fi
#endif
  :: atomic { alive && UNATTENDED && chosen != NONE && IS_TASK(chosen) && !watched -> watch(chosen); watched = true } /* I4 */
  :: atomic {
       else ->
       TOUCH;
       value = value + many; looked = false; assert(value <= CAPACITY);                                 /* E1, I5 */
       break
     }
  od;
  atomic {
    if :: chosen != NONE && FAULT != 7 -> publish(chosen) :: else fi;
    chosen = NONE; unsure = false; has_looked = false; watched = false
  }
}

inline restart_others() {
  k = 0;
  do :: k < N -> in_sequence[k] = false; k++ :: else -> break od;
  k = 0
}

/* make_careful: two steps, as the word may be given in between. */
inline make_careful() {
  atomic { TOUCH; careful = true; if :: FAULT == 20 -> locked = false :: else fi }
  atomic { if :: FAULT != 17 -> restart_others() :: else fi; cared = FAULT == 18; locked = false }
}

/* settle: by the holder. */
inline settle() {
  atomic { !locked -> TOUCH; if :: careful && !FLAGGED -> careful = false :: else fi }
}

/* A mutex's unlock: clear_if_equal, else give. */
inline unlock(i) {
  atomic { TOUCH; if :: !FLAGGED && !careful -> in_sequence[i] = true :: else fi }
  atomic {
    if
    :: in_sequence[i] ->
       TOUCH;
       value = 1; waiters = false; starving = false; in_flight = false; in_flight_task = false; looked = false;
       careful = false; in_sequence[i] = false; stored = true                                       /* E1, I5, I9 */
    :: else
    fi
  }
  if
  :: stored -> stored = false
  :: else -> if :: settle() :: skip fi; give(1)
  fi
}

/* take_out: under the queue's lock. Starving goes on while somebody is on the way (I8). */
inline take_out(i) {
  remove(i);
  if
  :: length == 0 -> waiters = false; if :: !in_flight -> starving = false :: else fi
  :: else
  fi
}

/* Whether it comes to nothing, or takes at once: then the word need not be careful. */
#define GOES(i, how) \
  ((how == recheck && !queued[i]) || \
   (!(how == newcomer && starving) && !(how == recheck && FIRST != i) && value >= amount[i]))

inline take_or_enqueue_now(i, how) {
      TOUCH;
      if
      :: how == recheck && !queued[i] && FAULT != 5 -> rechecks[i] = false; took = false /* claimed since it looked up */
      :: else ->
         looked = false;                                                                              /* I6 */
         barred = (how == newcomer && starving) || (how == recheck && FIRST != i);
         took = !barred && value >= amount[i];
         if :: how == after_wake && (FAULT != 9 || took) -> in_flight = false; in_flight_task = false :: else fi;
         if
         :: took ->
            value = value - amount[i];
            if :: how != newcomer && FAULT != 13 -> starving = false :: else fi;
            if :: how == recheck -> locked = true; was_queued = true :: else fi
         :: else ->
#if FAULT != 14
            waiters = true;                                                                           /* I2 */
#endif
            if :: how == newcomer && in_flight_task && FAULT != 12 -> in_flight = false :: else fi;   /* I4 */
            rechecks[i] = barred || starving;
            if
            :: how == newcomer -> push_back(i)
            :: how == after_wake -> push_front(i)                                                     /* I3 */
            :: else
            fi
         fi;
         passes_on = (took && how != newcomer && value > 0 && CAPACITY > 1 && FAULT != 11) ||
                     (!took && how == recheck && barred && value >= amount[i] && FAULT != 16)         /* I3, I4 */
      fi;
  barred = false
}

/* take_or_enqueue: sets `took`. The exchange is one step with taking the queue's lock, and what follows with letting go
 * of it, as nobody else can look in between. */
inline take_or_enqueue(i, how) {
  do
  :: atomic { !locked && NEEDS_CARE && !GOES(i, how) -> TOUCH; locked = true } make_careful()
  :: atomic { !locked && (!NEEDS_CARE || GOES(i, how)) -> take_or_enqueue_now(i, how); break }
  od;
  cared = false;
  if
  :: was_queued -> atomic { TOUCH; take_out(i); was_queued = false; unlock_queue() }
  :: else
  fi;
#if FAULT == 14
  if :: !took -> atomic { TOUCH; waiters = true } :: else fi;
#endif
  if
  :: passes_on && length > 0 -> passes_on = false; wake_one()
  :: else -> passes_on = false
  fi
}
inline leave(i) {
  atomic { !locked -> TOUCH; locked = true; take_out(i) }
  atomic { TOUCH; looked = false; unlock_queue() }                                 /* I6 */
  if :: FAULT != 10 -> wake_one() :: else fi
}

/* A suspended task gives its executor up, and needs it to go on. */
inline suspend(i) { if :: IS_TASK(i) -> busy[runs_on[i]] = false :: else fi }
inline resume(i) { if :: IS_TASK(i) -> atomic { !busy[runs_on[i]] -> busy[runs_on[i]] = true } :: else fi }

/* silence: what a waker's alarm had in mind is over before the next attempt (wait.cpp, I7). */
inline silence(i) { if :: IS_TASK(i) -> atomic { firing != i || FAULT == 15 -> alarm[i] = false } :: else fi }

/* A recheck that changes nothing is tried only once, lest a stranded neighbour goes unnoticed. */
#define RECHECK_HELPS(i) (FIRST == i && value >= amount[i] || idle_rechecks[i] < 1)

/* take: sets `took`. */
inline take(i, may_give_up) {
  resume(i);
  gave_up = false;
  phase[i] = waiting;
  take_or_enqueue(i, newcomer);
  do
  :: took -> break
  :: else ->
     suspend(i);
     if
     :: phase[i] == woken -> skip
     :: atomic { phase[i] == waiting && may_give_up -> phase[i] = timed_out; gave_up = true }
     :: atomic { phase[i] == waiting && rechecks[i] && RECHECK_HELPS(i) ->
          phase[i] = timed_out;
          if :: FIRST == i && value >= amount[i] -> skip :: else -> idle_rechecks[i]++ fi
        }
     fi;
     resume(i);
     silence(i);
     if
     :: gave_up -> leave(i); break
     :: !gave_up && phase[i] == woken -> phase[i] = waiting; take_or_enqueue(i, after_wake)
     :: else -> phase[i] = waiting; take_or_enqueue(i, recheck)
     fi
  od;
  silence(i);
  phase[i] = idle; rechecks[i] = false; idle_rechecks[i] = 0
}

inline destroy() {
  atomic {
    TOUCH;
    assert(!waiters && !starving && !in_flight && !in_flight_task && !looked);
    alive = false
  }
}

#define LOCALS \
  byte k, looked_at, chosen = NONE; \
  bool unsure, others_wait, has_looked, watched, took, barred, was_queued, passes_on, gave_up, last, cared, stored

/* An agent that locks `rounds` times. The last one to let go destroys the object at once: the others may still be in
 * their unlock, but have let go. */
proctype locker(byte me; byte where; byte rounds; bool may_give_up) {
  LOCALS;
  runs_on[me] = where;
  amount[me] = 1;
  if :: !IS_TASK(me) && where < 2 -> atomic { !busy[where] -> busy[where] = true } :: else fi; /* it occupies it */
  do
  :: rounds > 0 ->
     rounds--;
     take(me, may_give_up);
     if
     :: took ->
        atomic { inside++; assert(inside == 1) }
        atomic { inside--; if :: rounds == 0 -> references--; last = references == 0 :: else fi }
        unlock(me)
     :: else -> atomic { if :: rounds == 0 -> references-- :: else fi }
     fi;
     if :: IS_TASK(me) -> busy[where] = false :: else fi
  :: else -> break
  od;
  if :: last -> destroy() :: else fi;
  if :: !IS_TASK(me) && where < 2 -> busy[where] = false :: else fi
}

proctype releaser(byte many) {
  LOCALS;
  give(many)
}

byte admitted;
bool others_done;

proctype acquirer(byte me; byte many; bool may_give_up; bool destroys) {
  LOCALS;
  runs_on[me] = NONE;
  amount[me] = many;
  take(me, may_give_up);
  if :: took -> atomic { admitted = admitted + many; assert(admitted <= CAPACITY) } :: else fi;
  if
  :: destroys -> atomic { assert(took); if :: others_done -> destroy() :: else fi }
  :: else -> others_done = true
  fi
}

/* On the clock's thread: rings for the tasks that have been watched. */
proctype clock() {
  LOCALS;
  byte late;
end:
  do
  :: atomic { alarm[2] -> late = 2 } goto ring
  :: atomic { alarm[3] -> late = 3 } goto ring
  od;
ring:
  atomic {
    if
    :: alarm[late] && phase[late] == woken -> alarm[late] = false; firing = late
    :: alarm[late] && phase[late] == claimed -> if :: FAULT == 4 -> alarm[late] = false :: else fi; goto end
    :: else -> goto end
    fi
  }
  wake_one(); /* wake_next_of */
  firing = NONE;
  goto end
}

init {
  atomic {
#if defined(SIGNAL)
    run releaser(1); run releaser(1);
    run acquirer(0, 2, false, true); run acquirer(1, 3, true, false)
#elif defined(BATCH)
    run releaser(2);
    run acquirer(0, 1, false, false); run acquirer(1, 1, false, false); run acquirer(2, 3, true, false)
#else
#if defined(GIVES_UP)
    references = 3;
    run locker(0, NONE, 2, false); run locker(1, NONE, 1, false); run locker(3, NONE, 1, true);
#elif defined(TASKS)
    references = 4;
    run locker(0, NONE, 1, false); run locker(1, 0, 1, false); run locker(2, 0, 1, false); run locker(3, 0, 1, true);
#else
    references = 3;
    run locker(0, NONE, 2, false); run locker(1, 0, 1, false); run locker(2, 0, 1, false);
#endif
    run clock()
#endif
  }
}
