// What every peer program in Go shares; see harness.hpp.
package main

import (
	"flag"
	"fmt"
	"sync/atomic"
	"time"
)

type options struct {
	seconds float64
	threads int
}

func readOptions() options {
	var read options
	flag.Float64Var(&read.seconds, "seconds", 1, "how long to measure")
	flag.IntVar(&read.threads, "threads", 1, "how many goroutines contend")
	flag.Parse()
	return read
}

// work that the compiler cannot leave out: rounds of a xorshift generator.
func work(state uint64, steps int) uint64 {
	for i := 0; i < steps; i++ {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
	}
	return state
}

// runGoroutines lets goroutines begin together and repeat what make(i) gave them until the time is over.
func runGoroutines(given options, make_ func(i int) func()) {
	counts := make(chan uint64, given.threads)
	begin := make(chan struct{})
	var over atomic.Bool
	for i := 0; i < given.threads; i++ {
		operation := make_(i)
		go func() {
			<-begin
			own := uint64(0)
			for !over.Load() {
				operation()
				own++
			}
			counts <- own
		}()
	}
	start := time.Now()
	close(begin)
	time.Sleep(time.Duration(given.seconds * 1e9))
	over.Store(true)
	elapsed := time.Since(start).Seconds()
	total, least := uint64(0), ^uint64(0)
	for i := 0; i < given.threads; i++ {
		own := <-counts
		total += own
		if own < least {
			least = own
		}
	}
	fmt.Printf("{\"value\": %.4f, \"unit\": \"M ops/s\", \"better\": \"higher\", \"least_share\": %.4f}\n",
		float64(total)/elapsed/1e6, float64(least)*float64(given.threads)/float64(total+1))
}

// runBatches repeats a batch of `size` operations until the time is over, after a first time for nothing, and prints how
// many are done in a second.
func runBatches(given options, size uint64, batch func()) {
	batch()
	operations, start := uint64(0), time.Now()
	for {
		batch()
		operations += size
		elapsed := time.Since(start).Seconds()
		if elapsed >= given.seconds {
			fmt.Printf("{\"value\": %.4f, \"unit\": \"M ops/s\", \"better\": \"higher\", \"ns_per_op\": %.3f}\n",
				float64(operations)/elapsed/1e6, elapsed*1e9/float64(operations))
			return
		}
	}
}
