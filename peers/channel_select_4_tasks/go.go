package main

import "runtime"

const each = 100000

func main() {
	given := readOptions()
	runtime.GOMAXPROCS(2)
	runBatches(given, 4*each, func() {
		queues := [4]chan uint64{}
		for n := range queues {
			queue := make(chan uint64, 100)
			queues[n] = queue
			go func() {
				for i := uint64(0); i < each; i++ {
					queue <- i
				}
			}()
		}
		sums := make(chan uint64)
		go func() {
			sum := uint64(0)
			a, b, c, d := queues[0], queues[1], queues[2], queues[3]
			for i := 0; i < 4*each; i++ {
				select {
				case item := <-a:
					sum += item
				case item := <-b:
					sum += item
				case item := <-c:
					sum += item
				case item := <-d:
					sum += item
				}
			}
			sums <- sum
		}()
		if <-sums != 4*each*(each-1)/2 {
			panic("the sum of the items is wrong")
		}
	})
}
