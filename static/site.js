/** The URL of this server, without a final slash. A proxy may serve it under a path: nothing here begins at the host. */
export const SITE = new URL("..", import.meta.url).href.replace(/\/$/, "");
