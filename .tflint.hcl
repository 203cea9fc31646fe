# terraform/ is linted by the rules that come with tflint, all of them. Those for AWS are a plugin
# that it downloads, and repeat much of what the provider itself checks.

config {
  call_module_type = "all"
}

plugin "terraform" {
  enabled = true
  preset  = "all"
}
