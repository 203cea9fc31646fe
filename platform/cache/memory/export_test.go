package memory

// Settle has the cache forget what it is about to forget.
func (c *Cache) Settle() { c.slots.CleanUp() }
