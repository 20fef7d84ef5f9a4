/* Sends back what it receives, to one client at a time. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int count, char **words) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(count > 1 ? atoi(words[1]) : 7)};
    int on = 1, server = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    signal(SIGPIPE, SIG_IGN);
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 8)) {
        perror("echo");
        return 1;
    }
    for (;;) {
        char buffer[4096];
        int client = accept(server, NULL, NULL);
        ssize_t size;
        while ((size = read(client, buffer, sizeof buffer)) > 0)
            if (write(client, buffer, size) < 0) break;
        close(client);
    }
}
