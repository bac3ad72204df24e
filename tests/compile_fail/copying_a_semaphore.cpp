// refused: call to deleted constructor of .*semaphore
#include <heddle/sync/semaphore.hpp>

heddle::semaphore first{1};
heddle::semaphore second = first;  // misuse
