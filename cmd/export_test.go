package cmd

// Redrive is for tests of a redrive that is interrupted, which the program itself can hardly
// be made to do.
var Redrive = redrive
