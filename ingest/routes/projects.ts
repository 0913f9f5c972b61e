import { z } from 'zod'
import { defineRoute } from '../define-route.ts'
import { nextCursor, Page, Project, ProjectInput, ProjectPatch } from '../schemas.ts'

const OneProject = z.object({ project: Project })

export const projectRoutes = [
  defineRoute({
    id: 'createProject',
    method: 'post',
    path: '/projects',
    tag: 'Projects',
    summary: 'Create a project',
    scope: 'admin',
    body: ProjectInput,
    status: 201,
    answer: OneProject,
    run: (tocsin, { body }) => tocsin.createProject(body),
  }),
  defineRoute({
    id: 'listProjects',
    method: 'get',
    path: '/projects',
    tag: 'Projects',
    summary: 'List the projects the key may see',
    scope: 'admin',
    query: Page,
    status: 200,
    answer: z.object({ projects: z.array(Project), nextCursor }),
    run: (tocsin, { query }) => tocsin.listProjects(query),
  }),
  defineRoute({
    id: 'getProject',
    method: 'get',
    path: '/projects/:project',
    tag: 'Projects',
    summary: 'Read a project',
    scope: 'admin',
    status: 200,
    answer: OneProject,
    run: (tocsin, { params }) => tocsin.getProject(params.project),
  }),
  defineRoute({
    id: 'updateProject',
    method: 'patch',
    path: '/projects/:project',
    tag: 'Projects',
    summary: 'Change name, plan or policy, or switch receiving on and off',
    scope: 'admin',
    body: ProjectPatch,
    status: 200,
    answer: OneProject,
    run: (tocsin, { params, body }) => tocsin.updateProject(params.project, body),
  }),
  defineRoute({
    id: 'deleteProject',
    method: 'delete',
    path: '/projects/:project',
    tag: 'Projects',
    summary: 'Delete a project and everything in it',
    scope: 'admin',
    status: 204,
    run: (tocsin, { params }) => tocsin.deleteProject(params.project),
  }),
]
