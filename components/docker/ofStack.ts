/** The filter for everything of a stack in Docker: containers, networks and volumes. @param id the stack's id */
export function ofStack(id: string): { label: string[] } {
  return { label: [`bitnet-server.id=${id}`] };
}
