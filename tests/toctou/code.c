// A program that says by its exit code which one it is.
int main(void) { return CODE; }
