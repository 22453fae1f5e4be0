module example.com/gatelodge-plugin

go 1.24
