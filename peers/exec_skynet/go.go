package main

import (
	"fmt"
	"runtime"
	"sort"
	"time"
)

func skynet(into chan int, first, size int) {
	if size == 1 {
		into <- first
		return
	}
	parts := make(chan int)
	part := size / 10
	for i := 0; i < 10; i++ {
		go skynet(parts, first+i*part, part)
	}
	sum := 0
	for i := 0; i < 10; i++ {
		sum += <-parts
	}
	into <- sum
}

func once() {
	whole := make(chan int)
	go skynet(whole, 0, 1000000)
	if sum := <-whole; sum != 499999500000 {
		panic("the sum is wrong")
	}
}

// As heddle's, each goroutine answering by its parent's channel.
func main() {
	given := readOptions()
	runtime.GOMAXPROCS(2)
	once()
	var runs []float64
	begin := time.Now()
	for len(runs) < 3 || time.Since(begin).Seconds() < given.seconds {
		start := time.Now()
		once()
		runs = append(runs, time.Since(start).Seconds()*1e3)
	}
	sort.Float64s(runs)
	fmt.Printf("{\"value\": %.4f, \"unit\": \"ms\", \"better\": \"lower\"}\n", runs[len(runs)/2])
}
