package main

import "runtime"

const items = 1000000

func main() {
	given := readOptions()
	runtime.GOMAXPROCS(2)
	pairs := uint64(given.threads)
	each := items / pairs
	runBatches(given, items, func() {
		queue := make(chan uint64, 100)
		sums := make(chan uint64, pairs)
		for p := uint64(0); p < pairs; p++ {
			go func() {
				for i := uint64(0); i < each; i++ {
					queue <- i
				}
			}()
			go func() {
				sum := uint64(0)
				for i := uint64(0); i < each; i++ {
					sum += <-queue
				}
				sums <- sum
			}()
		}
		total := uint64(0)
		for p := uint64(0); p < pairs; p++ {
			total += <-sums
		}
		if total != pairs*each*(each-1)/2 {
			panic("the sum of the items is wrong")
		}
	})
}
