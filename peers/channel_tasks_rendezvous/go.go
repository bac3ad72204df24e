package main

import "runtime"

const rounds = 100000

func main() {
	given := readOptions()
	runtime.GOMAXPROCS(2)
	runBatches(given, rounds, func() {
		there, back, ended := make(chan int), make(chan int), make(chan bool)
		go func() {
			for i := 0; i < rounds; i++ {
				there <- i
				if <-back != i {
					panic("the answer is wrong")
				}
			}
			ended <- true
		}()
		go func() {
			for i := 0; i < rounds; i++ {
				back <- <-there
			}
		}()
		<-ended
	})
}
