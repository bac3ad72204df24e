package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"
)

// As heddle's: a goroutine starts a hundred others and waits for their end, on two processors.
func main() {
	const batch, together = 100000, 100
	given := readOptions()
	runtime.GOMAXPROCS(2)
	operations := 0
	start := time.Now()
	var elapsed float64
	for elapsed < given.seconds {
		for i := 0; i < batch; i += together {
			var group sync.WaitGroup
			group.Add(together)
			for k := 0; k < together; k++ {
				go group.Done()
			}
			group.Wait()
		}
		operations += batch
		elapsed = time.Since(start).Seconds()
	}
	fmt.Printf("{\"value\": %.4f, \"unit\": \"M ops/s\", \"better\": \"higher\", \"ns_per_op\": %.3f}\n",
		float64(operations)/elapsed/1e6, elapsed*1e9/float64(operations))
}
